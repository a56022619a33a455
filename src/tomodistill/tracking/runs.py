"""Every phase is a run: opened here, tagged alike, found again by the digest of what went in."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import mlflow
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME

from tomodistill.tracking.provenance import git_tags

logging.getLogger("mlflow.system_metrics").setLevel(logging.WARNING)  # two lines a run otherwise

__all__ = ["Run", "close_as_reused", "find_finished", "phase_run", "read_run", "take_over_run"]

PHASE, DIGEST = "phase", "phase.digest"


def take_over_run() -> str | None:
    """Id of the run that `mlflow run` opened for this process, once; None without `mlflow run`.

    Upstream phases open runs of their own, so the variable must not reach them.
    """
    return os.environ.pop("MLFLOW_RUN_ID", None)


@contextmanager
def phase_run(
    phase: str, *, name: str, digest: str | None = None, run_id: str | None = None
) -> Iterator[Run]:
    """The run of one phase; FAILED if the block raises. `run_id`: that of `mlflow run`, if any.

    Only a run with a `digest` of its inputs can be found again.
    """
    with mlflow.start_run(run_id=run_id, run_name=name, log_system_metrics=True) as run:
        inputs = {DIGEST: digest} if digest else {}
        mlflow.set_tags({MLFLOW_RUN_NAME: name, PHASE: phase, **inputs, **git_tags()})
        print(f"{phase}: run {run.info.run_id} ({name})", flush=True)
        yield run


def find_finished(phase: str, digest: str) -> Run | None:
    """The newest finished run of a phase with the same inputs, in any experiment."""
    client = MlflowClient()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    wanted = f"tags.`{PHASE}` = '{phase}' AND tags.`{DIGEST}` = '{digest}'"
    finished = f"{wanted} AND attributes.status = 'FINISHED'"
    runs = client.search_runs(experiments, finished, order_by=["start_time DESC"], max_results=1)
    if not runs:
        return None
    print(f"{phase}: found in run {runs[0].info.run_id}", flush=True)
    return runs[0]


def close_as_reused(run_id: str, found: Run) -> None:
    """Close the run of `mlflow run` when its result already exists: points to the run that has it.

    It carries no phase digest, so that it is never found in place of the real one.
    """
    name = f"{found.info.run_name} (found again)"
    with mlflow.start_run(run_id=run_id):
        mlflow.set_tags({MLFLOW_RUN_NAME: name, "reused_run_id": found.info.run_id})


def read_run(run_id: str) -> Run:
    """A run as the store has it now."""
    return mlflow.get_run(run_id)
