"""Transfer sets and an ensemble of teachers at `smoke` scale, through real MLflow."""

import json
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from entrypoints import distill
from entrypoints.__main__ import main as entry
from entrypoints.simulate import ensure_set
from entrypoints.transfer import transfer_sets
from entrypoints.upstream import as_trained, ensure_upstream
from tests.entrypoints.conftest import store_in
from tests.processes import working_in
from tomodistill.distillation.config import StudentConfig
from tomodistill.errors import InputError
from tomodistill.inference.classifier import Classifier
from tomodistill.scales import configure
from tomodistill.subtomograms.dataset import open_set, write_set
from tomodistill.subtomograms.items import Item
from tomodistill.subtomograms.views import VIEWS, view
from tomodistill.tracking.registry import STUDENTS, download, resolve

GIVEN = {"transfer": "given.h5", "teacher": "dsrf3d_v2,dsrf3d_v2", "label_views": "mean"}
TRAIN, VAL, TEST, UNLABELLED = 15, 3, 6, 5  # items


def command(**changes):
    flags = {**GIVEN, **changes}
    return ["--scale", "smoke", *(f"--{name}={text}" for name, text in flags.items())]


def scale_of(**changes):
    return configure("smoke", {**GIVEN, **changes})


def item(volume, **changes):
    known = {"pose": (np.nan,) * 7, "seed": 0, "snr": np.nan, "defocus": np.nan}
    plain = Item(volume, -1, "tomogram/0", "test", tilt_range=(-60.0, 60.0), **known)
    return replace(plain, **changes)


def write(name, header, items, **options):
    return write_set(Path(name), header, lambda start: items[start:], len(items), **options)


@pytest.fixture(scope="module")
def data(taught):
    """The set; beside it lies one of five volumes of which nothing is known but their tilts."""
    with working_in(taught, store_in(taught)):
        data = ensure_set(scale_of())
        foreign = replace(data.header, set_id="tomogram", class_names=("unknown",))
        volumes = np.random.default_rng(5).normal(size=(UNLABELLED, *[27] * 3)).astype(np.float32)
        given = [item(volume, id=f"tomogram/{i}") for i, volume in enumerate(volumes)]
        write("given.h5", foreign, given)
        yield data


@pytest.fixture(scope="module")
def student(data):
    """The run of the student on the training part and those five, taught by two teachers."""
    distill.main(command())
    return runs("distill")[0]


@pytest.fixture(scope="module")
def upstream(student):
    return ensure_upstream(scale_of())


def runs(phase):
    finished = f"tags.phase = '{phase}' AND attributes.status = 'FINISHED'"
    return MlflowClient().search_runs(["0"], finished, order_by=["start_time"])


def test_the_split_of_the_set(data):
    assert [len(data.rows(part)) for part in ("train", "val", "test")] == [TRAIN, VAL, TEST]


def test_every_item_of_a_transfer_set_is_learned_from(student):
    assert student.data.metrics["train/items"] == TRAIN + UNLABELLED
    assert student.data.params["student.transfer"] == "given.h5"


def test_each_teacher_labels_each_set_once(student):
    labelled = [(run.data.tags["teacher.run_id"], run.data.metrics) for run in runs("soft_labels")]
    teachers = [run.info.run_id for run in runs("teacher")]
    assert len(teachers) == 2
    items = {(teacher, metrics["items"]) for teacher, metrics in labelled}
    assert items == {(teacher, count) for teacher in teachers for count in (24, UNLABELLED)}
    assert [metrics["views"] for _, metrics in labelled] == [4] * 4


def test_the_first_teacher_is_the_reference_and_the_ensemble_stands_beside(student):
    first, measured = runs("teacher")[0].data.metrics, student.data.metrics
    for part in ("val", "test"):
        rate = measured[f"{part}/accuracy"] / first[f"{part}/accuracy"]
        assert measured[f"{part}/accuracy_rate"] == pytest.approx(rate)
        assert 0 <= measured[f"{part}/ensemble_accuracy"] <= 1
    parameters = first["cost/parameters"] / measured["cost/parameters"]
    assert measured["compression_rate"] == pytest.approx(parameters)


def test_lineage_holds_every_teacher_and_transfer_set(student, data):
    given, labels = open_set(Path("given.h5")), runs("soft_labels")
    teachers = [run.data.tags for run in runs("teacher")]
    folder = download(resolve(f"models:/{STUDENTS}/1"), Path("versions"))
    made_from = json.loads((folder / "manifest.json").read_text())["digests"]
    of_set, of_given = (
        [run.data.tags["soft_labels.sha256"] for run in labels[i : i + 2]] for i in (0, 2)
    )
    assert made_from == {
        "data": data.digest,
        "teacher": teachers[0]["version.sha256"],
        "ensemble": ", ".join(tags["version.sha256"] for tags in teachers),
        "soft_labels": ", ".join(of_set),
        "transfer": given.digest,
        "transfer_soft_labels": ", ".join(of_given),
    }
    tags = student.data.tags
    assert tags["soft_labels.run_id"] == ", ".join(run.info.run_id for run in labels)
    assert all(tags[f"{name}.sha256"] == made_from[name] for name in ("transfer", "ensemble"))
    assert tags["teacher.run_id"] == runs("teacher")[0].info.run_id


def test_inputs_of_the_run_are_every_set_and_every_teacher(student, data):
    shown = mlflow.get_run(student.info.run_id).inputs
    sets = {of.tags[0].value: of.dataset.digest for of in shown.dataset_inputs}
    wanted = {"training": data, "transfer": open_set(Path("given.h5"))}
    assert {c: sets.get(c) for c in wanted} == {c: of.digest[:36] for c, of in wanted.items()}
    teachers = {run.data.tags["model.id"] for run in runs("teacher")}
    assert {model.model_id for model in shown.model_inputs} == teachers


@pytest.mark.parametrize("label_views", ["identity", "matching", "mean"])
def test_what_is_learned_is_the_mean_of_the_teachers(upstream, monkeypatch, label_views):
    learned = {}
    monkeypatch.setattr(distill, "fit", lambda *given, **named: learned.update(named))
    config = replace(upstream.scale.student, label_views=label_views)
    distill.train_student(upstream, config)
    ((given, logits),) = learned["transfer"]
    assert logits.shape == (UNLABELLED, 4, 3)
    volumes = given.volumes(np.arange(UNLABELLED))
    teachers = [Classifier.load(t.folder, precision="float32") for t in upstream.teachers]
    of_views = np.stack(
        [np.mean([t.logits(view(volumes, name)) for t in teachers], axis=0) for name in VIEWS], 1
    )
    expected = {
        "identity": of_views[:, :1],
        "matching": of_views,
        "mean": of_views.mean(axis=1, keepdims=True),
    }[label_views]
    np.testing.assert_allclose(logits, np.broadcast_to(expected, logits.shape), atol=1e-4)
    assert np.ptp(of_views, axis=1).max() > 1e-3  # the views differ, so the three are not the same


def test_a_control_learns_from_the_training_part_alone_and_once(student):
    for changes in ({"temperature": "2"}, {"loss": "logits"}, {"transfer": "none"}):
        distill.main(command(labels="hard", **changes))
    (control,) = [run for run in runs("distill") if run.data.tags["labels"] == "hard"]
    assert control.data.metrics["train/items"] == TRAIN
    assert control.data.tags["teacher.run_id"] == student.data.tags["teacher.run_id"]
    assert not [tag for tag in control.data.tags if tag.startswith(("transfer", "soft_labels"))]


def test_only_what_concerns_soft_labels_is_left_out_of_a_control():
    asked = StudentConfig(temperature=2.0, loss="logits", hard_weight=0.5, transfer="9", seed=3)
    assert as_trained(asked) == asked
    control, plain = as_trained(replace(asked, labels="hard")), StudentConfig(labels="hard", seed=3)
    assert control == replace(plain, label_views="identity")


def test_a_number_simulates_so_many_others_like_the_set(data):
    scale = scale_of(transfer="12")
    (more,) = transfer_sets(scale, data, scale.student)
    assert len(more.ids) == 12
    assert not set(more.ids) & set(data.ids)
    names = ("class_names", "box", "voxel_spacing", "contrast")
    assert all(getattr(more.header, n) == getattr(data.header, n) for n in names)
    assert more.header.recipe == {**data.header.recipe, "items": 12, "seed": 1_000_000}
    (again,) = transfer_sets(scale, data, scale.student)
    assert again.path == more.path


@pytest.mark.parametrize(
    ("transfer", "words"),
    [
        ("3", "found 1 of one class, .* Give transfer=12 or more"),
        ("given.h5,given.h5", r"tomogram/0 of given\.h5, which is tomogram/0"),
    ],
)
def test_too_few_and_twice_the_same_are_refused(data, transfer, words):
    scale = scale_of(transfer=transfer)
    with pytest.raises(InputError, match=words):
        transfer_sets(scale, data, scale.student)


def test_what_names_nothing_is_refused_at_once(data, capsys):
    for transfer in ("0", "00", "nowhere.h5", "given.h5,", "."):
        assert entry(["distill", *command(transfer=transfer)]) == 2
        assert "expected transfer: none, a number of items, or paths" in capsys.readouterr().err


def test_a_test_item_is_refused_whatever_it_is_called_before_a_teacher_is_trained(data, capsys):
    row = int(data.rows("test")[0])
    (volume,) = data.volumes(np.array([row]))
    stranger = item(volume, id="stranger")
    write("leak.h5", replace(data.header, set_id="leak"), [stranger], storage="float16")
    before = len(runs("teacher"))
    assert entry(["distill", *command(transfer="leak.h5", teacher_seed="7")]) == 2
    said = capsys.readouterr().err
    assert f"found stranger of leak.h5, which is {data.ids[row]} in the test part of" in said
    assert len(runs("teacher")) == before


def test_the_set_as_its_own_transfer_set_is_refused(data, capsys):
    assert entry(["distill", *command(transfer=str(data.path))]) == 2
    assert (
        "expected transfer items, each once, that no set of the student or held out has"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("of_header", "of_item", "words"),
    [
        ({"box": 26}, {}, "the teacher's box, 27; found 26"),
        ({"voxel_spacing": 9.0}, {}, "the teacher's voxel_spacing, 10.0; found 9.0"),
        ({"contrast": "bright"}, {}, "the teacher's contrast, dark; found bright"),
        ({"class_names": ("p97",)}, {"label": 0}, "the teacher's class_names, ('clpp',"),
        ({}, {"tilt_range": (-60.0, 40.0)}, "the views identity, y, z, x keep"),
        ({}, {"tilt_range": (np.nan, np.nan)}, "the views identity, y, z, x keep"),
    ],
)
def test_another_kind_of_set_is_refused(data, capsys, of_header, of_item, words):
    header = replace(data.header, set_id="other", **of_header)
    volume = np.random.default_rng(1).normal(size=[header.box] * 3).astype(np.float32)
    write("other.h5", header, [item(volume, **of_item)])
    assert entry(["distill", *command(transfer="other.h5")]) == 2
    assert words in capsys.readouterr().err


def test_without_turns_any_tilt_range_will_do(data):
    volume = np.random.default_rng(1).normal(size=[27] * 3).astype(np.float32)
    write("tilted.h5", data.header, [item(volume, id="tilted", tilt_range=(-60.0, 40.0))])
    scale = scale_of(transfer="tilted.h5", student_augment="false")
    (found,) = transfer_sets(scale, data, scale.student)
    assert found.ids == ["tilted"]
