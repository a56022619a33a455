"""`robustness` of an untrained student, on tiny sets."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import keras
import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from entrypoints import robustness
from entrypoints.__main__ import main as entry
from entrypoints.simulate import ensure_set, structures_of
from tests.processes import working_in
from tests.versions import MANIFEST, random_volumes, tell_apart
from tomodistill.errors import InputError
from tomodistill.evaluation.calibration import Answers, calibration_error, reliability
from tomodistill.inference.classifier import Classifier
from tomodistill.inference.confidence import Calibration, Unknown
from tomodistill.inference.keras_engine import KerasEngine
from tomodistill.inference.version import write_version
from tomodistill.networks.build import build
from tomodistill.scales import configure
from tomodistill.subtomograms.dataset import open_set
from tomodistill.tracking.flavor import log_version
from tomodistill.tracking.registry import register, set_production

PROBE = random_volumes(4, seed=0)
CLASSES = ("clpp", "groel", "rubisco")
# The recipe that brings every box to the SNR asked for, and needs no set's noise level measured.
FEW = ["--scale", "smoke", "--recipe", "convolution", "--items", "24"]
COMMAND = [*FEW, "--snrs", "0.3,0.05", "--tilts", "60,-76..47"]
SETS = [("0.3", "±60°"), ("0.3", "−76° to 47°"), ("0.05", "±60°"), ("0.05", "−76° to 47°")]
STUDENT = replace(
    MANIFEST,
    class_names=CLASSES,
    calibration=Calibration(2.0, 10, dict.fromkeys(CLASSES, 1 / 3), {}),
    unknown=Unknown("max_logit", 0.0, 0.05, 10, ("a",), ("b",), {}, {}),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two versions of a student, the first in production, each with its own teacher; one report."""
    folder = tmp_path_factory.mktemp("robustness")
    with working_in(folder, f"sqlite:///{folder}/mlflow.db"):
        for seed in (1, 2):
            teacher = log("teacher", replace(MANIFEST, class_names=CLASSES), seed=10 + seed)
            digests = {**MANIFEST.digests, "teacher": teacher.digest}
            student = log("s3-soft", replace(STUDENT, digests=digests), seed=seed)
            tags = {"student": "s3", "teacher.model_id": teacher.model_id}
            register(student.model_id, digest=student.digest, tags=tags)
        set_production("1", {})
        assert entry(["robustness", *COMMAND]) == 0
        yield folder


def network(seed):
    """With random weights; another seed, other answers."""
    keras.utils.set_random_seed(seed)
    model = build("s3", box=MANIFEST.box, classes=len(CLASSES))
    tell_apart(model, PROBE, favourite=seed % 3)
    return model


def log(name, manifest, *, seed):
    model = network(seed)
    of_probe = Classifier(manifest, KerasEngine(model)).logits(PROBE)

    def write(folder):
        return write_version(folder, manifest, model, probe=PROBE, probe_logits=of_probe)

    with mlflow.start_run():
        return log_version(name, write)


def runs(phase):
    return MlflowClient().search_runs(["0"], f"tags.phase = '{phase}'", order_by=["start_time"])


def table(run):
    text = mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/tables/robustness.csv")
    return list(csv.DictReader(io.StringIO(text)))


def sets():
    """First digits of its digest -> each set there is."""
    opened = [open_set(path, verify=True) for path in Path("data/sets").glob("*.h5")]
    return {data.digest[:12]: data for data in opened}


def logits(seed, data):
    """What the network of this seed says of all items of a set."""
    volumes = data.volumes(np.arange(len(data.ids)))
    return Classifier(STUDENT, KerasEngine(network(seed))).logits(volumes)


def test_the_table_holds_what_student_and_teacher_make_of_every_item(store):
    rows = table(runs("robustness")[0])
    assert [(row["SNR"], row["tilts"]) for row in rows] == SETS
    found = set()
    for row, made in zip(rows, runs("simulate"), strict=True):
        assert made.info.run_id in row["set_url"]
        data = sets()[row["set"]]
        assert int(row["items"]) == len(data.ids) == 24
        for role, seed in (("student", 1), ("teacher", 11)):
            right = float((logits(seed, data).argmax(axis=1) == data.labels).mean())
            ends = (float(row[f"{role} accuracy_{end}"]) for end in ("low", "high"))
            assert float(row[f"{role} accuracy"]) == pytest.approx(right)
            assert next(ends) < right < next(ends)
            found.add(right)
    assert len(found) > 1  # else the two could be confused


def test_confidence_is_that_of_the_student(store):
    for row in table(runs("robustness")[0]):
        data = sets()[row["set"]]
        said = logits(1, data)
        rejected = (said.max(axis=1) < 0.0).mean()
        assert float(row["called unknown"]) == pytest.approx(rejected)
        bins = reliability(Answers(said, data.labels), temperature=2.0)  # that of its version
        assert float(row["ECE"]) == pytest.approx(calibration_error(bins))


def test_what_it_was_trained_on_is_marked(store):
    trained_on = {
        (row["SNR"], row["tilts"]): row["trained on"] for row in table(runs("robustness")[0])
    }
    assert trained_on == dict.fromkeys(SETS, "no") | {("0.3", "±60°"): "yes"}  # 0.1 to 0.5, ±60°


def test_metrics_figure_and_page(store):
    run = runs("robustness")[0]
    rows = table(run)
    parts = ("snr_0.3_tilts_-60_60", "snr_0.3_tilts_-76_47", "snr_0.05_tilts_-60_60")
    for row, part in zip(rows, parts, strict=False):
        measured = {name: run.data.metrics[f"{part}/{name}"] for name in ("accuracy", "items")}
        assert measured == {"accuracy": float(row["student accuracy"]), "items": 24}
        assert run.data.metrics[f"{part}/teacher_accuracy"] == float(row["teacher accuracy"])
        assert run.data.metrics[f"{part}/accuracy_rate"] == float(row["accuracy_rate"])
    figures = MlflowClient().list_artifacts(run.info.run_id, "figures")
    assert [figure.path for figure in figures] == ["figures/robustness.png"]
    page = run.data.tags["mlflow.note.content"]
    assert page.startswith(
        "**s3, version 1: trained on SNR 0.1..0.5, tilts -60° to 60°**\n\n| set "
    )
    assert (run.data.tags["student"], run.data.tags["version"]) == ("s3", "1")


def test_its_sets_are_of_other_items_than_the_set_of_the_same_flags(store):
    data = ensure_set(configure("smoke", {"recipe": "convolution", "items": "24", "snr": "0.3"}))
    assert data.digest[:12] not in {row["set"] for row in table(runs("robustness")[0])}
    others = {id for row in table(runs("robustness")[0]) for id in sets()[row["set"]].ids}
    assert not others & set(data.ids)


@pytest.mark.parametrize("chosen", [["--version", "2"], ["--student", "s3"]])
def test_another_version_is_reported_on_the_same_sets(store, chosen, capsys):
    made = len(runs("simulate"))
    assert entry(["robustness", *COMMAND, *chosen]) == 0
    assert len(runs("simulate")) == made
    run = runs("robustness")[-1]
    assert run.data.tags["version"] == "2"
    for row in table(run):
        data = sets()[row["set"]]
        for role, seed in (("student", 2), ("teacher", 12)):
            right = (logits(seed, data).argmax(axis=1) == data.labels).mean()
            assert float(row[f"{role} accuracy"]) == pytest.approx(right)
    assert "| 0.05 | −76° to 47° | no | 24 | " in capsys.readouterr().out


def test_forty_of_each_class_where_items_is_auto():
    config = configure("smoke", {"none": "0.5", "items": "28"}).simulation
    few = robustness._unseen(config, structures_of(config), "auto")
    assert few == replace(config, items=140, seed=few.seed)
    assert few.seed != config.seed
    assert robustness._unseen(config, structures_of(config), "28") == replace(few, items=28)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["--classes", "clpp,groel"], "the student's classes, clpp, groel, rubisco; found clpp, g"),
        (["--none", "1"], "found clpp, groel, rubisco, none"),
        (["--box", "28"], "the student's box, 27; found 28"),
        (["--voxel_spacing", "11"], "the student's voxel_spacing, 10.0; found 11.0"),
        (["--student", "s1"], "a registered version of s1"),
        (["--student", "s3", "--version", "2"], "one of student=NAME (its newest version)"),
        (["--version", "9"], "a model version at models:/subtomogram-student/9"),
    ],
)
def test_what_the_student_cannot_classify_is_refused_before_a_set_is_made(
    store, wrong, words, capsys
):
    before = MlflowClient().search_runs(["0"])
    assert entry(["robustness", *COMMAND, *wrong]) == 2
    assert words in capsys.readouterr().err
    assert len(MlflowClient().search_runs(["0"])) == len(before)


def test_a_set_that_a_network_learned_from_is_refused(store):
    data = next(iter(sets().values()))
    of_transfer = replace(STUDENT, digests={"data": "d" * 64, "transfer": f"a, {data.digest}"})
    with pytest.raises(InputError, match="items that the student has never seen"):
        robustness._check_unseen(data, of_transfer)
    robustness._check_unseen(data, STUDENT)


def test_without_a_version_in_production_one_must_be_named(tmp_path, capsys):
    with working_in(tmp_path, f"sqlite:///{tmp_path}/mlflow.db"):
        assert entry(["robustness", *COMMAND]) == 2
    assert "a version in production, where neither student nor version" in capsys.readouterr().err
