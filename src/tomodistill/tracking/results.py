"""Finished trainings in the store, as values that can be compared."""

import csv
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from tomodistill.errors import InputError
from tomodistill.evaluation.comparison import Result
from tomodistill.tracking.links import run_url
from tomodistill.tracking.records import artifact
from tomodistill.tracking.runs import PHASE

DECISIONS = "tables/test_decisions.csv"  # artifact of a training: what it made of each test item
_SETTINGS = ("preprocessing.", "teacher.", "student.", "simulation.")


def result_of(run: Run) -> Result:
    """What one finished training measured."""
    tags, is_teacher = run.data.tags, run.data.tags[PHASE] == "teacher"
    settings = {k: v for k, v in run.data.params.items() if k.startswith(_SETTINGS)}
    return Result(
        network=tags["teacher"] if is_teacher else tags["student"],
        role="teacher" if is_teacher else "student",
        labels="hard" if is_teacher else tags["labels"],
        metrics=run.data.metrics,
        name=str(run.info.run_name),
        url=run_url(run),
        config={"data": tags["data.sha256"][:8], **settings},
        correct=_correct(run),
    )


def find_trainings(filter: str) -> list[Run]:
    """Finished trainings that match an MLflow filter, and the teachers of the students among them.

    Raises InputError for a filter that MLflow does not understand.
    """
    students = _search("distill", filter)
    teachers = {run.info.run_id: run for run in _search("teacher", filter)}
    for student in students:
        wanted = student.data.tags["teacher.run_id"]
        if wanted not in teachers:
            teachers[wanted] = mlflow.get_run(wanted)
    return [*teachers.values(), *students]


def _search(phase: str, filter: str) -> Sequence[Run]:
    client = MlflowClient()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    finished = f"tags.`{PHASE}` = '{phase}' AND attributes.status = 'FINISHED'"
    # A run that only points to an earlier one measured nothing, and has no phase.
    asked = f"{finished} AND {filter}" if filter else finished
    try:
        return list(client.search_runs(experiments, asked, order_by=["start_time ASC"]))
    except MlflowException as error:
        if error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        raise InputError(
            expected="a filter of runs as MLflow has them",
            found=f"{filter!r}: {error.message}",
            todo="For example: tags.student = 's3' AND metrics.speedup > 2",
        ) from error


def _correct(run: Run) -> dict[str, bool]:
    """Test item id -> whether the network was right."""
    with TemporaryDirectory() as folder:
        path = artifact(run, DECISIONS, Path(folder))
        with path.open(newline="") as file:
            return {row["id"]: row["label"] == row["decision"] for row in csv.DictReader(file)}
