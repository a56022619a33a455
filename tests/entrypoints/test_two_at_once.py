"""Two project runs that start together, in one working directory and on one new sqlite store."""

import json
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from entrypoints import soft_labels
from tests.processes import (
    PATIENCE,
    SMALL,
    SMALL_STUDENT,
    entry_point,
    environment,
    running,
    the_set,
    working_in,
)
from tomodistill.inference.version import MANIFEST, file_digest
from tomodistill.tracking.registry import DIGEST_TAG, STUDENTS, download, resolve

EPOCHS = 3
SEEDS = ("0", "1")
UPSTREAM = ("simulate", "teacher", "soft_labels")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What two `distill` that started together returned; this process works where they did."""
    folder = tmp_path_factory.mktemp("two")
    store = f"sqlite:///{folder}/mlflow.db"
    made = [sys.executable, "-m", "mlflow", "experiments", "search"]  # as setup.sh does
    subprocess.run(made, env=environment(store), check=True, capture_output=True)
    of_each = [*SMALL_STUDENT, "--student_epochs", str(EPOCHS), "--student_seed"]
    options = {"env": environment(store), "cwd": folder}
    with (
        running(entry_point("distill", *of_each, SEEDS[0]), **options) as one,
        running(entry_point("distill", *of_each, SEEDS[1]), **options) as two,
    ):
        returned = [process.wait(timeout=4 * PATIENCE) for process in (one, two)]
    with working_in(folder, store):
        yield returned


def runs(phase):
    return MlflowClient().search_runs(["0"], f"tags.phase = '{phase}'", order_by=["start_time"])


def students():
    """Seed -> run."""
    return {run.data.params["student.seed"]: run for run in runs("distill")}


def versions():
    found = MlflowClient().search_model_versions(f"name = '{STUDENTS}'")
    return {str(version.version): version for version in found}


def artifacts(run, folder=None):
    for entry in MlflowClient().list_artifacts(run.info.run_id, folder):
        yield from artifacts(run, entry.path) if entry.is_dir else [entry.path]


def test_both_end_well(outcomes):
    assert outcomes == [0, 0]
    everything = MlflowClient().search_runs(["0"])
    assert {run.info.status for run in everything} == {"FINISHED"}
    assert set(students()) == set(SEEDS)


def test_no_metric_is_lost(outcomes):
    one, two = students().values()
    assert set(one.data.metrics) == set(two.data.metrics)
    for run in (one, two):
        for name in ("train/loss", "val/loss"):
            history = MlflowClient().get_metric_history(run.info.run_id, name)
            assert [m.step for m in history] == list(range(1, EPOCHS + 1))
        manifest = json.loads((folder_of(run) / MANIFEST).read_text())
        assert {name: run.data.metrics[name] for name in manifest["metrics"]} == manifest["metrics"]


def test_no_artifact_is_lost(outcomes):
    one, two = (set(artifacts(run)) for run in students().values())
    assert one == two
    curves = {"figures/learning_curves.png", "figures/test_confusion.png"}
    assert curves <= one
    for run in (run for phase in UPSTREAM for run in runs(phase)):
        assert run.data.tags.get("model.id") or set(artifacts(run))


def test_each_is_registered_under_a_number_of_its_own(outcomes):
    assert set(versions()) == {"1", "2"}
    of_runs = {run.info.run_id: seed for seed, run in students().items()}
    seeds = {version.run_id: seed_of(folder) for version, folder in downloaded()}
    assert seeds == of_runs


def test_each_version_is_what_was_registered_and_made_from_what_it_says(outcomes):
    digests = {version.tags[DIGEST_TAG]: file_digest(f / MANIFEST) for version, f in downloaded()}
    assert len(digests) == 2
    assert all(registered == stored for registered, stored in digests.items())
    for run in students().values():
        of_student, tags = digests_of(run), run.data.tags
        teacher, labels = (
            mlflow.get_run(tags[f"{phase}.run_id"]).data.tags
            for phase in ("teacher", "soft_labels")
        )
        assert of_student["teacher"] == teacher[DIGEST_TAG]
        assert of_student["soft_labels"] == labels["soft_labels.sha256"]


def test_the_one_set_is_whole_and_nothing_is_left_over(outcomes):
    assert len(list(Path("data/sets").iterdir())) == 2  # the other: held-out classes
    made = {digests_of(run)["data"] for run in students().values()}
    assert {the_set().digest} == made
    assert [str(found) for found in Path("data").rglob("*partial*")] == []


def test_what_they_made_is_found_again(outcomes):
    before = {phase: len(runs(phase)) for phase in UPSTREAM}
    # One waited for the other. A second set: the held-out classes.
    assert before == {"simulate": 2, "teacher": 1, "soft_labels": 1}
    soft_labels.main(SMALL)
    assert {phase: len(runs(phase)) for phase in UPSTREAM} == before


def downloaded():
    for number, version in versions().items():
        yield version, download(resolve(f"models:/{STUDENTS}/{number}"), Path("cache"))


def folder_of(run):
    (folder,) = (folder for version, folder in downloaded() if version.run_id == run.info.run_id)
    return folder


def digests_of(run):
    return json.loads((folder_of(run) / MANIFEST).read_text())["digests"]


def seed_of(folder):
    return str(json.loads((folder / MANIFEST).read_text())["training"]["seed"])
