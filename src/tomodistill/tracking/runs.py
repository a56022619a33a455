"""Every phase is a run: opened here, tagged alike, found again by the digest of what went in."""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mlflow
from matplotlib.figure import Figure
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import LoggedModelInput, Run
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME

from tomodistill.subtomograms.dataset import SubtomogramSet
from tomodistill.tracking.provenance import git_tags

logging.getLogger("mlflow.system_metrics").setLevel(logging.WARNING)  # two lines a run otherwise

PHASE, DIGEST = "phase", "phase.digest"
_LONGEST_DATASET_DIGEST = 36  # characters, MLflow's limit


def take_over_run() -> str | None:
    """Id of the run that `mlflow run` opened for this process, once; None without `mlflow run`.

    Upstream phases open runs of their own, so the variable must not reach them.
    """
    return os.environ.pop("MLFLOW_RUN_ID", None)


@contextmanager
def phase_run(phase: str, *, name: str, digest: str, run_id: str | None = None) -> Iterator[Run]:
    """The run of one phase; FAILED if the block raises. `run_id`: that of `mlflow run`, if any."""
    with mlflow.start_run(run_id=run_id, run_name=name, log_system_metrics=True) as run:
        mlflow.set_tags({MLFLOW_RUN_NAME: name, PHASE: phase, DIGEST: digest, **git_tags()})
        yield run


def find_finished(phase: str, digest: str) -> Run | None:
    """The newest finished run of a phase with the same inputs, in any experiment."""
    client = MlflowClient()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    wanted = f"tags.`{PHASE}` = '{phase}' AND tags.`{DIGEST}` = '{digest}'"
    finished = f"{wanted} AND attributes.status = 'FINISHED'"
    runs = client.search_runs(experiments, finished, order_by=["start_time DESC"], max_results=1)
    return runs[0] if runs else None


def close_as_reused(run_id: str, found: Run) -> None:
    """Close the run of `mlflow run` when its result already exists: points to the run that has it.

    It carries no phase digest, so that it is never found in place of the real one.
    """
    name = f"{found.info.run_name} (found again)"
    with mlflow.start_run(run_id=run_id):
        mlflow.set_tags({MLFLOW_RUN_NAME: name, "reused_run_id": found.info.run_id})


def log_config(**phases: Any) -> None:
    """Every field of each phase's configuration as a parameter: "student.temperature" and so on.

    `mlflow run` has logged the declared parameters as it got them, under names without a dot;
    parameters are write-once, so those names must not be used again.
    """
    mlflow.log_params(
        {
            f"{phase}.{name}": value
            for phase, config in phases.items()
            for name, value in asdict(config).items()
        }
    )


def log_curve_point(epoch: int, metrics: Mapping[str, float]) -> None:
    """One epoch of the learning curves."""
    mlflow.log_metrics(dict(metrics), step=epoch)


def log_figure(name: str, figure: Figure) -> None:
    """A figure as an artifact, `figures/<name>.png`."""
    mlflow.log_figure(figure, f"figures/{name}.png", save_kwargs={"dpi": 120})


def log_set(data: SubtomogramSet, context: str, *, teacher_model_id: str | None = None) -> None:
    """The set as a data set of the run, with its real digest; shows the teacher as input model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # MLflow registers its local source twice
        source = resolve_dataset_source(str(data.path))
    digest = data.digest[:_LONGEST_DATASET_DIGEST]
    dataset = _SetDataset(source, name=data.header.recipe["name"], digest=digest)
    teacher = LoggedModelInput(teacher_model_id) if teacher_model_id else None
    mlflow.log_input(dataset, context=context, model=teacher)


class _SetDataset(MetaDataset):
    """MLflow's own digests cover the first 10,000 values only: a sixth of one volume."""

    profile = None


def artifact(run: Run, name: str, folder: Path) -> Path:
    """Fetch an artifact of a run into `folder`."""
    return Path(
        mlflow.artifacts.download_artifacts(
            run_id=run.info.run_id, artifact_path=name, dst_path=str(folder)
        )
    )
