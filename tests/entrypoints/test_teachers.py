"""Ensembles, further teachers and classifiers that someone else registered, at `smoke` scale."""

from dataclasses import replace
from pathlib import Path

import keras
import mlflow
import mlflow.keras
import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from scipy.special import softmax

from entrypoints import teacher
from entrypoints.__main__ import main as entry
from entrypoints.adoption import adopt
from entrypoints.simulate import ensure_set
from entrypoints.teacher import ensure_teacher, ensure_teachers
from tests.processes import working_in
from tomodistill.errors import InputError
from tomodistill.inference.classifier import Classifier
from tomodistill.inference.version import read_manifest
from tomodistill.scales import configure
from tomodistill.tracking.adoption import find_registered
from tomodistill.tracking.results import result_of
from tomodistill.tracking.runs import read_run

BOX = 16  # voxels: the smallest that cb3d takes
GIVEN = {"box": f"{BOX}", "voxel_spacing": "17"}
SMALL = ["--scale", "smoke", *(word for k, v in GIVEN.items() for word in (f"--{k}", v))]
NAMES = "clpp, groel, rubisco"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A set in a working directory with its own store."""
    folder = tmp_path_factory.mktemp("teachers")
    with working_in(folder, f"sqlite:///{folder}/mlflow.db"):
        yield ensure_set(configure("smoke", GIVEN))


def scale_of(name, **given):
    return configure("smoke", {**GIVEN, "teacher": name, **given})


def runs():
    finished = "tags.phase = 'teacher' AND attributes.status = 'FINISHED'"
    return MlflowClient().search_runs(["0"], finished)


def foreign(*, end="softmax", box=BOX, layers=()):
    last = keras.layers.Dense(3, activation=end)
    first = keras.Input((box, box, box))
    pool = [keras.layers.Reshape((box, box, box, 1)), keras.layers.AveragePooling3D(4)]
    return keras.Sequential([first, *pool, *layers, keras.layers.Flatten(), last])


def register(name, model, class_names=NAMES):
    """As someone with a project of their own would; its URI."""
    with mlflow.start_run():
        mlflow.keras.log_model(
            model, name="model", registered_model_name=name, pip_requirements=["keras"]
        )
    MlflowClient().set_model_version_tag(name, "1", "class_names", class_names)
    return f"models:/{name}/1"


def test_an_ensemble_is_trained_once_each_with_its_own_seed(data, monkeypatch, capsys):
    opened = MlflowClient().create_run("0").info.run_id  # as `mlflow run` does
    monkeypatch.setenv("MLFLOW_RUN_ID", opened)
    teacher.main([*SMALL, "--teacher", "dsrf3d_v2,dsrf3d_v2"])
    printed = capsys.readouterr().out
    first, second = trained = sorted(runs(), key=lambda run: run.data.params["teacher.seed"])
    assert [run.data.params["teacher.seed"] for run in trained] == ["0", "1"]
    assert second.info.run_id == opened  # the last: one that fails later takes none along
    assert all(f"teacher: run {run.info.run_id}, version" in printed for run in trained)
    both = ensure_teachers(scale_of("dsrf3d_v2, dsrf3d_v2"), data)
    assert [of.run_id for of in both] == [first.info.run_id, second.info.run_id]
    alone = ensure_teacher(scale_of("dsrf3d_v2"), data)
    assert alone == both[0]
    assert len(runs()) == 2
    answers = [np.load(of.folder / "probe_logits.npy") for of in both]
    assert np.abs(answers[0] - answers[1]).max() > 1e-4


def test_a_further_teacher_trains(data):
    made = ensure_teacher(scale_of("rb3d"), data)
    metrics = read_run(made.run_id).data.metrics
    assert metrics["train/loss"] > 0
    assert metrics["cost/parameters"] == read_manifest(made.folder).metrics["cost/parameters"]
    assert np.isfinite(Classifier.load(made.folder).logits(data.volumes(data.rows("test")))).all()


def test_a_box_too_small_for_any_of_them_is_refused_before_any_work(data, capsys):
    sets, before = list(Path("data/sets").iterdir()), len(MlflowClient().search_runs(["0"]))
    given = ["--scale", "smoke", "--box", "14", "--teacher", "dsrf3d_v2,cb3d"]
    assert entry(["teacher", *given]) == 2
    assert "expected a box of 16 voxels or more for cb3d; found 14" in capsys.readouterr().err
    assert entry(["teacher", *SMALL, "--teacher", "dsrf3d_v2,models:/nobody/1"]) == 2
    assert "a model version at models:/nobody/1" in capsys.readouterr().err
    assert list(Path("data/sets").iterdir()) == sets
    assert len(MlflowClient().search_runs(["0"])) == before


def test_a_registered_classifier_is_adopted(data, capsys):
    model = foreign()
    uri = register("elsewhere", model)
    made = ensure_teacher(scale_of(uri, lowpass="60"), data)
    classifier = Classifier.load(made.folder, precision="float32")
    preprocessing = scale_of(uri, lowpass="60").preprocessing
    assert classifier.manifest.preprocessing == preprocessing
    rows = data.rows("test")
    logits = classifier.logits(data.volumes(rows))
    expected = np.asarray(model(data.preprocessed(rows, preprocessing)))
    np.testing.assert_allclose(softmax(logits, axis=1), expected, atol=1e-5)
    run = read_run(made.run_id)
    right = (expected.argmax(axis=1) == data.labels[rows]).mean()
    assert run.data.metrics["test/accuracy"] == pytest.approx(right)
    assert run.data.metrics["cost/parameters"] == model.count_params() == 4**3 * 3 + 3
    assert run.data.metrics["cost/gflop"] == pytest.approx(2e-9 * 4**3 * 3)
    assert (result_of(run).network, result_of(run).role) == (uri, "teacher")
    figures = [f.path for f in MlflowClient().list_artifacts(made.run_id, "figures")]
    assert figures == ["figures/test_confusion.png"]
    MlflowClient().set_registered_model_alias("elsewhere", "best", "1")
    assert ensure_teacher(scale_of("models:/elsewhere@best", lowpass="60"), data) == made
    mixed = ensure_teachers(scale_of(f"{uri},dsrf3d_v2", lowpass="60"), data)
    assert mixed[0] == made
    assert read_manifest(mixed[1].folder).network == "dsrf3d_v2"


def test_a_version_of_ours_is_adopted_with_its_own_preprocessing(data):
    first = ensure_teacher(scale_of("dsrf3d_v2"), data)
    uri = f"models:/{first.model_id}"
    made = ensure_teacher(scale_of(uri, lowpass="90"), data)
    assert made.run_id != first.run_id
    own, adopted = (read_manifest(of.folder) for of in (first, made))
    given = {name: getattr(own, name) for name in ("metrics", "files")}
    assert replace(adopted, **given) == own
    shared = {k: v for k, v in own.metrics.items() if k.startswith(("val/", "test/acc", "cost/"))}
    shared.pop("val/loss", None)
    assert shared.items() <= adopted.metrics.items()


@pytest.mark.parametrize(
    ("model", "class_names", "words"),
    [
        ({}, "groel, clpp, rubisco", r"classes clpp, groel, rubisco, in this order; found groel,"),
        ({}, "clpp, groel", "found clpp, groel in models:"),
        ({"end": "linear"}, NAMES, "a softmax at its end; found outputs whose sum is"),
        ({"box": 20}, NAMES, r"input is \(None, 16, 16, 16\).* found \(None, 20, 20, 20\)"),
        ({"layers": [keras.layers.Lambda(abs)]}, NAMES, "that loads without code of its own"),
    ],
    ids=["order", "fewer", "logits", "box", "lambda"],
)
def test_a_classifier_that_does_not_fit_is_refused(data, request, model, class_names, words):
    uri = register(request.node.callspec.id, foreign(**model), class_names)
    with pytest.raises(InputError, match=words):
        ensure_teachers(scale_of(uri), data)


def test_a_version_of_ours_for_other_volumes_is_refused(data):
    first = ensure_teacher(scale_of("dsrf3d_v2"), data)
    registered = find_registered(f"models:/{first.model_id}")
    other = replace(data, header=replace(data.header, voxel_spacing=18.0))
    with pytest.raises(InputError, match=r"the teacher's voxel_spacing, 17.0; found 18.0"):
        adopt(registered, scale_of("dsrf3d_v2"), other)
