"""Runs that say RUNNING though nothing works on them: a killed process cannot close its run."""

import platform
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlflow.entities import LoggedModelStatus, Run
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PROJECT_ENTRY_POINT, MLFLOW_SOURCE_NAME

from tomodistill.tracking.audit import who_and_when
from tomodistill.tracking.owner import owner_of
from tomodistill.tracking.runs import PHASE, search

# A run logs system metrics every ten seconds; MLflow itself gives up on a store after minutes.
SILENCE = timedelta(hours=1)
_RUNNING = "attributes.status = 'RUNNING'"


@dataclass(frozen=True)
class LostRun:
    """A run that was marked, and what showed that it is lost."""

    run_id: str
    name: str
    why: str


def mark_lost(entry_points: Collection[str], project: Path) -> list[LostRun]:
    """Mark this project's lost runs KILLED and say which; runs of others are never touched.

    `project`: this checkout, by which runs are known that `mlflow run` opened and never started.
    """
    client, now = MlflowClient(), datetime.now(UTC)
    lost = []
    for run in list(search(_RUNNING)):  # all before the first is marked: pages would shift
        why = _why(run, now) if _is_ours(run, entry_points, project) else None
        # Read again: what was gone a moment ago may have closed its run before it went.
        if why and client.get_run(run.info.run_id).info.status == "RUNNING":
            _mark(client, run, why)
            lost.append(LostRun(run.info.run_id, str(run.info.run_name), why))
    return lost


def _is_ours(run: Run, entry_points: Collection[str], project: Path) -> bool:
    tags = run.data.tags
    if tags.get(PHASE) in entry_points and owner_of(tags):
        return True
    opened = tags.get(MLFLOW_PROJECT_ENTRY_POINT) in entry_points
    return opened and _source(tags.get(MLFLOW_SOURCE_NAME, "")) == project


def _source(name: str) -> Path:
    """The folder of a project as MLflow names it: a path, or `file://CHECKOUT#FOLDER` in git."""
    checkout, _, folder = name.removeprefix("file://").partition("#")
    return Path(checkout, folder)


def _why(run: Run, now: datetime) -> str | None:
    """What shows that nothing works on the run; None if something may."""
    owner = owner_of(run.data.tags)
    if owner and owner.is_gone:
        return f"process {owner.pid} is gone"
    if owner and owner.is_local:
        return None
    last = _last_sign(run)
    return f"no sign of life since {last:%Y-%m-%d %H:%M} UTC" if now - last > SILENCE else None


def _last_sign(run: Run) -> datetime:
    """When the run was opened, or when its newest metric was logged."""
    logged = [metric.timestamp for metric in run.data.to_proto().metrics]
    return datetime.fromtimestamp(max([run.info.start_time, *logged]) / 1000, UTC)


def _mark(client: MlflowClient, run: Run, why: str) -> None:
    run_id, (by, at) = run.info.run_id, who_and_when()
    for name, value in {
        "lost.why": why,
        "lost.noticed_at": at,
        "lost.noticed_by": f"{by}@{platform.node()}",
    }.items():
        client.set_tag(run_id, name, value)
    client.set_terminated(run_id, "KILLED", end_time=int(_last_sign(run).timestamp() * 1000))
    for model in client.search_logged_models(
        [run.info.experiment_id], f"source_run_id = '{run_id}'"
    ):
        if model.status == LoggedModelStatus.PENDING:  # its files are not all there
            client.finalize_logged_model(model.model_id, LoggedModelStatus.FAILED)
