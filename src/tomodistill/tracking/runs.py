"""Every phase is a run: opened here, tagged alike, found again by the digest of what went in."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import mlflow
from mlflow.entities import Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME

from tomodistill.tracking.owner import owner_tags
from tomodistill.tracking.pages import introduce
from tomodistill.tracking.provenance import git_tags
from tomodistill.tracking.store import hurried

logging.getLogger("mlflow.system_metrics").setLevel(logging.WARNING)  # two lines a run otherwise

__all__ = [
    "Run",
    "close_as_killed",
    "close_as_reused",
    "find_finished",
    "phase_run",
    "read_run",
    "search",
    "take_over_run",
]

PHASE, DIGEST = "phase", "phase.digest"


def take_over_run() -> str | None:
    """Id of the run that `mlflow run` opened for this process, once; None without `mlflow run`.

    Upstream phases open runs of their own, so the variable must not reach them.
    """
    run_id = os.environ.pop("MLFLOW_RUN_ID", None)
    if run_id:  # until its phase begins, hours later perhaps, nothing else says who works on it
        tags = [RunTag(name, value) for name, value in owner_tags().items()]
        MlflowClient().log_batch(run_id, tags=tags)
    return run_id


@contextmanager
def phase_run(
    phase: str, *, name: str, digest: str | None = None, run_id: str | None = None
) -> Iterator[Run]:
    """The run of one phase; FAILED if the block raises, KILLED if the process is told to stop.

    `run_id`: that of `mlflow run`, if any. Only a run with a `digest` of its inputs can be found
    again.
    """
    inputs = {DIGEST: digest} if digest else {}
    # Given with the opening, so that a run never stands without them, however the process ends.
    tags = {MLFLOW_RUN_NAME: name, PHASE: phase, **inputs, **git_tags(), **owner_tags()}
    with mlflow.start_run(
        run_id=run_id, run_name=name, tags=tags, log_system_metrics=True, nested=True
    ) as run:
        introduce(run.info.experiment_id)
        print(f"{phase}: run {run.info.run_id} ({name})", flush=True)
        try:
            yield run
        except KeyboardInterrupt:
            with hurried(), suppress(MlflowException):  # else `status` marks it
                mlflow.end_run("KILLED")
            raise


def close_as_killed(run_id: str) -> None:
    """Close the run of `mlflow run` when its process is told to stop before its phase begins.

    `mlflow run`, if it ends first, has closed it as FAILED; if last, it does so whatever we say.
    """
    client = MlflowClient()
    with hurried(), suppress(MlflowException):
        if client.get_run(run_id).info.status in ("RUNNING", "FAILED"):
            client.set_terminated(run_id, "KILLED")


def search(filter: str) -> Iterator[Run]:
    """The runs that match an MLflow filter, in any experiment, the newest first."""
    client = MlflowClient()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    newest_first, token = ["start_time DESC"], None
    while True:
        page = client.search_runs(experiments, filter, order_by=newest_first, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def find_finished(phase: str, digest: str) -> Run | None:
    """The newest finished run of a phase with the same inputs, in any experiment."""
    wanted = f"tags.`{PHASE}` = '{phase}' AND tags.`{DIGEST}` = '{digest}'"
    return next(search(f"{wanted} AND attributes.status = 'FINISHED'"), None)


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
