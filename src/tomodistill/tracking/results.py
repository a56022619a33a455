"""Finished trainings in the store, as values that can be compared."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from tomodistill.errors import InputError
from tomodistill.evaluation.comparison import Result
from tomodistill.tracking.links import run_url
from tomodistill.tracking.records import artifact
from tomodistill.tracking.runs import DIGEST, PHASE, search

DECISIONS = "tables/test_decisions.csv"  # artifact of a training: what it made of each test item
VERSION = "registered.version"  # tag of a student's run
_SETTINGS = ("preprocessing.", "teacher.", "student.", "simulation.")
# What every training of ours has; other projects in a shared store may have phases too.
_OURS = f"tags.`{DIGEST}` LIKE '%' AND tags.`data.sha256` LIKE '%'"


def result_of(run: Run) -> Result:
    """What one finished training measured. Raises InputError if the store has lost a part of it."""
    tags, is_teacher = run.data.tags, run.data.tags[PHASE] == "teacher"
    settings = {k: v for k, v in run.data.params.items() if k.startswith(_SETTINGS)}
    return Result(
        network=tags["teacher"] if is_teacher else tags["student"],
        role="teacher" if is_teacher else "student",
        labels=tags["labels"],
        metrics=run.data.metrics,
        config={"data": tags["data.sha256"][:8], **settings},
        correct=_correct(run),
        name=str(run.info.run_name),
        url=run_url(run),
        run_id=run.info.run_id,
        experiment_id=run.info.experiment_id,
        version=tags.get(VERSION),
    )


def find_results(filter: str) -> list[Result]:
    """Finished trainings that match an MLflow filter, and the teachers of the students among them.

    Those that the store has lost a part of are named and left out. Raises InputError for a filter
    that MLflow does not understand.
    """
    runs = {
        run.info.run_id: run for phase in ("teacher", "distill") for run in _find(phase, filter)
    }
    teachers = {run.data.tags.get("teacher.run_id") for run in runs.values()}
    missing = sorted(teacher for teacher in teachers if teacher and teacher not in runs)
    found = {teacher: _read(teacher) for teacher in missing} | runs
    return [result for run in found.values() if run and (result := _usable(run))]


def _find(phase: str, filter: str) -> Iterator[Run]:
    finished = f"tags.`{PHASE}` = '{phase}' AND attributes.status = 'FINISHED' AND {_OURS}"
    try:
        yield from search(f"{finished} AND {filter}" if filter else finished)
    except MlflowException as error:
        if error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        raise InputError(
            expected="a filter of runs as MLflow has them",
            found=f"{filter!r}: {error.message}",
            todo="For example: tags.student = 's3' AND metrics.speedup > 2",
        ) from error


def _read(run_id: str) -> Run | None:
    """A run; None if it was removed."""
    try:
        return MlflowClient().get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _usable(run: Run) -> Result | None:
    try:
        return result_of(run)
    except InputError as error:
        print(f"left out: {error.expected}: {error.found}", file=sys.stderr)
        return None


def _correct(run: Run) -> dict[str, bool]:
    """Test item id -> whether the network was right."""
    with TemporaryDirectory() as folder:
        path = artifact(run, DECISIONS, Path(folder))
        with path.open(newline="") as file:
            return {row["id"]: row["label"] == row["decision"] for row in csv.DictReader(file)}
