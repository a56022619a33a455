"""The loop at `smoke` scale through real MLflow, as far as students are made.

simulate -> teacher -> soft_labels -> distill.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from entrypoints import simulate, soft_labels, teacher
from entrypoints.__main__ import main as entry
from tests.entrypoints.conftest import SMOKE, runs
from tests.processes import the_set
from tomodistill.distillation.soft_labels import make_soft_labels, read_soft_labels
from tomodistill.inference.classifier import Classifier
from tomodistill.inference.openvino_engine import precisions
from tomodistill.scales import configure
from tomodistill.subtomograms.dataset import open_set
from tomodistill.tracking.registry import STUDENTS, download, resolve


def test_missing_phases_run_once_and_are_found_again(loop):
    assert loop == {"simulate": 2, "teacher": 1, "soft_labels": 1, "distill": 3}


def test_teacher_and_students_share_metric_names(loop):
    of_teacher, *of_students = (set(r.data.metrics) for r in [*runs("teacher"), *runs("distill")])
    shared = {f"{p}/{m}" for p in ("val", "test") for m in ("accuracy", "accuracy_low", "items")}
    shared |= {"cost/parameters", "cost/gflop", "cost/bytes", "train/loss", "val/loss"}
    for metrics in (of_teacher, *of_students):
        assert shared <= metrics
    ratios = {"compression_rate", "accuracy_rate", "speedup", "latency_ratio", "test/agreement"}
    assert all(ratios <= metrics for metrics in of_students)


def test_what_a_run_shows_is_what_its_version_says(loop):
    version = resolve(f"models:/{STUDENTS}/1")
    manifest = json.loads((download(version, Path("data/models")) / "manifest.json").read_text())
    shown = mlflow.get_run(version.run_id).data.metrics
    assert {name: shown[name] for name in manifest["metrics"]} == manifest["metrics"]


def test_every_version_runs_without_keras_and_says_how_well(loop):
    assert len(runs("teacher")) + len(runs("distill")) == 4
    for run in (*runs("teacher"), *runs("distill")):
        model_id = mlflow.get_run(run.info.run_id).outputs.model_outputs[0].model_id
        classifier = Classifier.load(download(resolve(f"models:/{model_id}"), Path("every")))
        assert classifier.engine.name == "openvino"
        figures = classifier.manifest.engines["openvino"]
        assert figures.keys() == set(precisions())
        for precision, reached in figures.items():
            shown = {
                name.rpartition("/")[2]: value
                for name, value in run.data.metrics.items()
                if name.startswith(f"engine/openvino/{precision}/")
            }
            assert shown == {name: float(value) for name, value in reached.items()}
        assert figures["float32"]["agreement"] == figures["float32"]["passed"] == 1
        assert figures["float32"]["items"] == run.data.metrics["val/items"]
        assert figures["float32"]["reference_accuracy"] == run.data.metrics["val/accuracy"]


def test_ratios_are_those_of_the_runs(loop):
    of_teacher, student = runs("teacher")[0].data.metrics, runs("distill")[0].data.metrics
    parameters = of_teacher["cost/parameters"] / student["cost/parameters"]
    assert student["compression_rate"] == pytest.approx(parameters)
    accuracies = student["test/accuracy"] / of_teacher["test/accuracy"]
    assert student["accuracy_rate"] == pytest.approx(accuracies)


def test_a_damaged_set_is_made_again(loop):
    path, digest = the_set().path, the_set().digest
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert simulate.ensure_set(configure("smoke", {})).digest == digest
    assert open_set(path, verify=True).digest == digest


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"voxel_spacing": "8"}, "the teacher's voxel_spacing, 10.0; found 8.0"),
        ({"classes": "clpp,groel,p97"}, "the teacher's class_names, ('clpp', 'groel', 'rubisco')"),
    ],
)
def test_soft_labels_of_another_kind_of_set_are_refused(loop, changes, words, capsys):
    other = simulate.ensure_set(configure("smoke", changes))
    assert entry(["soft_labels", *SMOKE, "--set", str(other.path)]) == 2
    assert words in capsys.readouterr().err
    other.path.unlink()


def test_structures_wider_than_the_box_are_refused_before_anything_is_made(loop, capsys):
    before = list(Path("data/sets").iterdir())
    assert entry(["simulate", *SMOKE, "--voxel_spacing", "4"]) == 2
    said = capsys.readouterr().err
    assert "expected structures that fit into the box of 108 Å; found clpp of 1" in said
    assert list(Path("data/sets").iterdir()) == before


def test_a_run_serves_as_a_model_uri(loop):
    run_id = resolve(f"models:/{STUDENTS}/1").run_id
    model_id = mlflow.get_run(run_id).outputs.model_outputs[0].model_id
    for uri in (f"models:/{model_id}", f"runs:/{run_id}/s3-soft"):
        folder = download(resolve(uri), Path("other-uris"))
        assert (folder / "model.keras").is_file()


def test_lineage_is_searchable_and_shown(loop):
    of_teacher, labels, student = runs("teacher")[0], runs("soft_labels")[0], runs("distill")[0]
    assert student.data.tags["teacher.run_id"] == of_teacher.info.run_id
    assert student.data.tags["soft_labels.run_id"] == labels.info.run_id
    shown = mlflow.get_run(student.info.run_id).inputs
    inputs = [model.model_id for model in shown.model_inputs]
    assert inputs == [of_teacher.data.tags["model.id"]]
    made = mlflow.artifacts.download_artifacts(
        run_id=labels.info.run_id, artifact_path="soft_labels.h5"
    )
    assert read_soft_labels(Path(made)).digest == student.data.tags["soft_labels.sha256"]
    data = the_set()
    assert student.data.tags["data.sha256"] == data.digest
    sets = {of.tags[0].value: of.dataset.digest for of in shown.dataset_inputs}
    assert sets.keys() == {"training", "held out"}
    assert sets["training"] == data.digest[:36]


def test_figures_and_reports_are_artifacts(loop):
    client, run = MlflowClient(), runs("distill")[0]
    figures = {a.path for a in client.list_artifacts(run.info.run_id, "figures")}
    names = ("learning_curves", "reliability", "test_confusion", "unknown")
    assert figures == {f"figures/{name}.png" for name in names}


def test_controls_are_logged_and_never_registered(loop):
    versions = MlflowClient().search_model_versions(f"name = '{STUDENTS}'")
    assert {v.tags["labels"] for v in versions} == {"soft"}
    assert len(versions) == 2


def test_an_explicit_phase_that_exists_points_to_it(loop, monkeypatch):
    opened = MlflowClient().create_run("0").info.run_id  # as `mlflow run` does
    monkeypatch.setenv("MLFLOW_RUN_ID", opened)
    teacher.main(SMOKE)
    tags = mlflow.get_run(opened).data.tags
    assert tags["reused_run_id"] == runs("teacher")[0].info.run_id
    assert mlflow.get_run(opened).info.status == "FINISHED"


def test_soft_labels_of_another_set(loop):
    other = shutil.copy(the_set().path, "other.h5")
    soft_labels.main([*SMOKE, "--set", str(other)])  # the same content: found again
    assert len(runs("soft_labels")) == 1


@pytest.mark.parametrize(
    "changes", [{"digest": "9" * 64}, {"class_names": ("clpp", "groel", "thermosome")}]
)
def test_soft_labels_that_belong_elsewhere_are_made_again(loop, changes, capsys):
    run = runs("soft_labels")[-1]
    stored = Path(run.info.artifact_uri.removeprefix("file://"), "soft_labels.h5")
    right = read_soft_labels(stored)
    data = the_set()
    make_soft_labels(
        stored,
        replace(data, digest=changes.get("digest", data.digest)),
        lambda volumes: np.zeros((len(volumes), 3), np.float32),
        views=right.views,
        class_names=changes.get("class_names", right.class_names),
        teacher_digest=right.teacher_digest,
    )
    soft_labels.main(SMOKE)
    assert "soft_labels: made again: soft labels of the" in capsys.readouterr().err
    made = runs("soft_labels")[-1]
    assert made.info.run_id != run.info.run_id
    assert made.data.tags["soft_labels.sha256"] == right.digest
