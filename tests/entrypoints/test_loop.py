"""The loop at `smoke` scale through real MLflow and a real server process.

simulate -> teacher -> soft_labels -> distill -> promote -> serve -> POST.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from entrypoints import distill, promote, rollback, simulate, soft_labels, status, teacher
from entrypoints.__main__ import main as entry
from tests import processes
from tests.processes import post, the_set, wait_for, working_in
from tomodistill.distillation.soft_labels import make_soft_labels, read_soft_labels
from tomodistill.errors import InputError
from tomodistill.inference.classifier import Classifier
from tomodistill.inference.openvino_engine import precisions
from tomodistill.scales import configure
from tomodistill.subtomograms.dataset import open_set
from tomodistill.subtomograms.volumes import write_mrc
from tomodistill.tracking.registry import STUDENTS, download, in_production, previous, resolve

SMOKE = ["--scale", "smoke"]


@pytest.fixture(scope="module")
def loop(tmp_path_factory):
    """A working directory with its own store; yields how many runs three students took."""
    folder = tmp_path_factory.mktemp("loop")
    with working_in(folder, f"sqlite:///{folder}/mlflow.db"):
        distill.main(SMOKE)
        distill.main([*SMOKE, "--student_seed", "1"])
        distill.main([*SMOKE, "--labels", "hard"])
        yield {p: len(runs(p)) for p in ("simulate", "teacher", "soft_labels", "distill")}


def runs(phase):
    finished = f"tags.phase = '{phase}' AND attributes.status = 'FINISHED'"
    return MlflowClient().search_runs(["0"], finished, order_by=["start_time"])


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


def test_the_gates_hold_and_force_is_audited(loop):
    before = in_production()
    with pytest.raises(InputError, match=r"val/accuracy_rate is .*speedup is"):
        promote.main(["--version", "1", "--min_speedup", "1e9", "--min_accuracy_rate", "9"])
    assert in_production() == before
    failed = MlflowClient().search_runs(["0"], "attributes.status = 'FAILED'")
    assert failed[0].data.tags["phase"] == "promote"
    promote.main(["--version", "1", "--min_speedup", "1e9", "--force", "true"])
    assert "speedup is" in in_production().tags["promoted.forced"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--version", "99"], "a model version at models:/subtomogram-student/99"),
        (["--version", "one"], "version: a whole number"),
        (["--student", "s1"], "a registered version of s1"),
        ([], "one of student=NAME"),
        (["--student", "s3", "--version", "1"], "one of student=NAME"),
    ],
)
def test_promotion_of_what_is_not_there(loop, arguments, words, capsys):
    assert entry(["promote", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_promote_rollback_status_and_stage(loop, capsys):
    gates_off = ["--min_speedup", "0", "--min_accuracy_rate", "0"]
    promote.main(["--version", "1", *gates_off])
    promote.main(["--student", "s3", *gates_off])  # the newest from soft labels
    assert (in_production().version, previous().version) == ("2", "1")
    assert resolve(f"models:/{STUDENTS}/Production").version == "2"
    rollback.main([])
    assert (in_production().version, previous().version) == ("1", "2")
    assert resolve(f"models:/{STUDENTS}/production").version == "1"
    status.main([])
    assert "in production: version 1 of subtomogram-student" in capsys.readouterr().out


def test_who_trains_nothing_needs_no_tensorflow(loop):
    commands = [
        ["promote", "--version", "1", "--force", "true"],
        ["promote", "--version", "2", "--force", "true"],
        ["rollback"],
        ["status"],
        ["export", "--version", "1", "--out", "without-tensorflow"],
    ]
    code = (
        "import json, sys; from entrypoints.__main__ import main;"
        "codes = [main(command) for command in json.loads(sys.argv[1])];"
        "print(codes, sorted({'keras', 'tensorflow', 'jax'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(commands)],
        env=processes.environment(mlflow.get_tracking_uri(), CUDA_VISIBLE_DEVICES="-1"),
        capture_output=True,
        text=True,
        timeout=processes.PATIENCE,
    )
    assert done.stdout.splitlines()[-1:] == ["[0, 0, 0, 0, 0] []"], done.stderr
    assert in_production().version == "1"
    assert Path("without-tensorflow/openvino.xml").is_file()


def test_other_classes_in_production_are_warned_of(loop, capsys):
    MlflowClient().set_model_version_tag(STUDENTS, "2", "class_names", "clpp, p97")
    promote.main(["--version", "2", "--force", "true"])
    assert "version 2 knows other classes" in capsys.readouterr().err
    assert "class_names          clpp, p97" in (status.main([]), capsys.readouterr().out)[1]
    promote.main(["--version", "1", "--force", "true"])
    assert "clpp, groel, rubisco; until now clpp, p97" in capsys.readouterr().err
    MlflowClient().set_model_version_tag(STUDENTS, "2", "class_names", "clpp, groel, rubisco")


def test_python_function_flavor_agrees_with_the_classifier(loop):
    version = resolve(f"models:/{STUDENTS}/1")
    probe = np.load(download(version, Path("data/models")) / "probe.npy")
    direct = Classifier.load(download(version, Path("data/models"))).probabilities(probe)
    flavored = mlflow.pyfunc.load_model(version.uri).predict(probe)
    np.testing.assert_allclose(flavored, direct, atol=1e-5)


def test_a_damaged_copy_is_fetched_again(loop):
    version = resolve(f"models:/{STUDENTS}/1")
    folder = download(version, Path("cache"))
    whole = (folder / "model.keras").read_bytes()
    (folder / "model.keras").write_bytes(whole[:-1])
    assert (download(version, Path("cache")) / "model.keras").read_bytes() == whole


def test_artifacts_changed_in_the_store_are_refused(loop):
    version = resolve(f"models:/{STUDENTS}/2")
    stored = Path(version_files(version)) / "manifest.json"
    original = stored.read_text()
    stored.write_text(original.replace('"student"', '"teacher"'))
    with pytest.raises(InputError, match="the version that was registered"):
        download(version, Path("another-cache"))
    stored.write_text(original)


def version_files(version):
    uri = MlflowClient().get_model_version_download_uri(version.name, version.version)
    return uri.removeprefix("file://")


@pytest.fixture
def service(loop):
    with processes.service(mlflow.get_tracking_uri()) as url:
        yield url


def test_posted_particles_come_back_from_the_version_in_production(service):
    promote.main(["--version", "1", "--force", "true"])
    data = the_set()
    volumes = data.volumes(data.rows("test")[:2])
    write_mrc(Path("particle.mrc"), volumes[0], data.header.voxel_spacing)
    np.save("particles.npy", volumes)
    wait_for(lambda: classify(service, "particle.mrc")["model"]["version"] == "1")
    one, stack = classify(service, "particle.mrc"), classify(service, "particles.npy")
    assert one["predictions"][0]["class"] == stack["predictions"][0]["class"]
    classifier = Classifier.load(download(resolve(f"models:/{STUDENTS}/1"), Path("data/models")))
    expected = classifier.probabilities(volumes)
    names = data.header.class_names
    answered = [[p["probabilities"][n] for n in names] for p in stack["predictions"]]
    np.testing.assert_allclose(answered, expected, atol=1e-4)
    promote.main(["--version", "2", "--force", "true"])  # no restart
    wait_for(lambda: classify(service, "particle.mrc")["model"]["version"] == "2")


def classify(service, file):
    return post(f"{service}/classify", Path(file).read_bytes())
