"""What a version knows of its own limits, of a network whose answers are known."""

from dataclasses import dataclass, replace

import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from entrypoints.confidence import (
    check_held_out,
    ensure_held_out,
    held_out_config,
    with_confidence,
)
from entrypoints.simulate import ensure_set
from entrypoints.training import Trained
from tests.processes import working_in
from tomodistill.distillation.training import History
from tomodistill.errors import InputError
from tomodistill.inference.classifier import Classifier
from tomodistill.inference.confidence import UNKNOWN
from tomodistill.inference.version import Manifest
from tomodistill.scales import configure
from tomodistill.tracking.runs import phase_run

ITEMS = 8  # of each held-out class
SCALE = configure("smoke", {"held_out_items": str(ITEMS), "items": "60", "false_rejection": "0.2"})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("confidence")
    with working_in(folder, f"sqlite:///{folder}/mlflow.db"):
        yield MlflowClient()


@pytest.fixture(scope="module")
def data(store):
    return ensure_set(SCALE)


@pytest.fixture(scope="module")
def held_out(store):
    return ensure_held_out(SCALE)


@dataclass(frozen=True)
class Knowing:
    """An engine that knows the set by heart: sure of its items, also wrongly, torn by others."""

    known: dict[bytes, int]  # preprocessed volume -> label
    name: str = "knowing"
    device: str = "cpu"

    def logits(self, volumes):
        labels = [self.known.get(volume.tobytes()) for volume in volumes]
        torn = np.array([2.0, 1.9, 0.0])
        logits = [torn if label is None else 8 * np.eye(3)[label] for label in labels]
        return np.array(logits, np.float32)


@pytest.fixture(scope="module")
def trained(data, manifest) -> Trained:
    rows = np.arange(len(data.ids))
    seen = data.preprocessed(rows, SCALE.preprocessing)
    mistaken = np.concatenate([data.rows(part)[::3] for part in ("train", "val", "test")])
    labels = data.labels.copy()
    labels[mistaken] = (labels[mistaken] + 1) % 3
    engine = Knowing({volume.tobytes(): label for volume, label in zip(seen, labels, strict=True)})
    return Trained(Classifier(of_set(manifest, data), engine), None, History({}))


def of_set(manifest: Manifest, data) -> Manifest:
    return replace(
        manifest,
        class_names=data.header.class_names,
        preprocessing=SCALE.preprocessing,
        contrast=data.header.contrast,
    )


@pytest.fixture(scope="module")
def made(trained, data, held_out):
    """The network after, its metrics, and the run."""
    with phase_run("distill", name="student") as run:
        after, metrics = with_confidence(trained, SCALE, data, held_out)
    return after.classifier, metrics, run


def test_held_out_classes_are_simulated_like_the_set(data, held_out):
    assert held_out.header.class_names == ("glutamine_synthetase", "rna_polymerase")
    assert np.bincount(held_out.labels).tolist() == [ITEMS, ITEMS]
    assert not set(held_out.header.class_names) & set(data.header.class_names)
    changed = ("classes", "items", "none", "seed")
    of_set, of_held_out = (
        {name: value for name, value in of.header.recipe.items() if name not in changed}
        for of in (data, held_out)
    )
    assert of_held_out == of_set
    assert not set(data.columns["seed"]) & set(held_out.columns["seed"])


def test_the_held_out_set_is_found_again(held_out, capsys):
    assert ensure_held_out(SCALE).digest == held_out.digest
    assert "simulate: found in run" in capsys.readouterr().out


def test_class_none_is_never_held_out():
    scale = replace(SCALE, simulation=replace(SCALE.simulation, none=1.0))
    config = held_out_config(scale)
    assert config.none == 0
    assert config.items == 2 * ITEMS


def test_without_held_out_classes_a_line_says_how_to_get_them(store, capsys):
    own = configure("smoke", {"classes": "all"})
    assert held_out_config(own) is None
    assert ensure_held_out(own) is None
    check_held_out(own)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "-P held_out_a=x,y -P held_out_b=z" in said


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"voxel_spacing": "6.2"}, "held_out_a and held_out_b: structures that fit into the box"),
        ({"structures": "here"}, "held_out_a and held_out_b: classes among a, b, c; found 'd'"),
    ],
)
def test_held_out_structures_that_cannot_be_had_are_refused_early(store, tmp_path, given, words):
    if "structures" in given:
        for name in "abc":
            (tmp_path / f"{name}.pdb").touch()
        given = {"structures": str(tmp_path), "classes": "a,b", "held_out_a": "c"}
        given["held_out_b"] = "d"
    with pytest.raises(InputError, match=words):
        check_held_out(configure("smoke", given))


def test_probabilities_are_calibrated_on_the_validation_part(made, data):
    classifier, metrics, _ = made
    calibration, labels = classifier.manifest.calibration, data.labels[data.rows("train")]
    assert calibration.items == len(data.rows("val"))
    shares = np.bincount(labels) / len(labels)
    assert calibration.priors == dict(zip(data.header.class_names, shares, strict=True))
    assert metrics["calibration/temperature"] == calibration.temperature > 1.5  # it was too sure
    assert metrics["test/ece"] == calibration.measured["ece"] < metrics["test/ece_uncalibrated"]
    assert metrics["test/nll"] == calibration.measured["nll"] < metrics["test/nll_uncalibrated"]


def test_what_was_held_out_is_rejected_by_the_version(made, data, held_out):
    classifier, metrics, _ = made
    rows = np.arange(2 * ITEMS)
    assert (classifier.decide(held_out.volumes(rows)).classes == UNKNOWN).all()
    of_test = classifier.decide(data.volumes(data.rows("test"))).classes
    assert (of_test != UNKNOWN).all()
    unknown = classifier.manifest.unknown
    assert unknown.false_rejection == 0.2
    assert (unknown.held_out_a, unknown.held_out_b) == (
        ("glutamine_synthetase",),
        ("rna_polymerase",),
    )
    expected = {
        "false_rejection": 0,
        "rejected": 1,
        "rejected_a": 1,
        "auc_a": 1,
        "auc_b": 1,
        "items_test": len(of_test),
        "items_a": ITEMS,
        "items_b": ITEMS,
    }
    assert {name: metrics[f"unknown/{name}"] for name in expected} == expected


def test_figures_and_the_held_out_set_are_in_the_run(made, held_out, store):
    run = made[2]
    figures = {a.path for a in store.list_artifacts(run.info.run_id, "figures")}
    assert figures == {"figures/reliability.png", "figures/unknown.png"}
    (shown,) = mlflow.get_run(run.info.run_id).inputs.dataset_inputs
    assert shown.dataset.digest == held_out.digest[:36]


def test_without_held_out_classes_there_is_a_calibration_alone(trained, data, store, made):
    with phase_run("distill", name="student"):
        after, metrics = with_confidence(trained, SCALE, data, None)
    assert after.classifier.manifest.unknown is None
    assert after.classifier.manifest.calibration == made[0].manifest.calibration
    assert not any(name.startswith("unknown/") for name in metrics)
    assert (after.model, after.history) == (trained.model, trained.history)
