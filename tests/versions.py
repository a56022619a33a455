"""Tiny model versions: s3 on three classes with random weights, whose answers differ."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np

from tomodistill.inference.classifier import Classifier
from tomodistill.inference.confidence import Calibration, Unknown
from tomodistill.inference.export import write_openvino
from tomodistill.inference.gate import Figures
from tomodistill.inference.keras_engine import KerasEngine
from tomodistill.inference.version import Manifest, write_version
from tomodistill.networks.build import build
from tomodistill.subtomograms.preprocessing import Preprocessing

BOX, SPACING = 27, 10.0  # voxels, the smallest that s3 takes; Å
MANIFEST = Manifest(
    network="s3",
    role="student",
    class_names=("ribosome", "proteasome", "chaperonin"),
    box=BOX,
    voxel_spacing=SPACING,
    contrast="dark",
    preprocessing=Preprocessing(lowpass=30.0),
    tilt_range=(-60.0, 60.0),
    snr_range=(0.1, 0.5),
    digests={"data": "d" * 64, "soft_labels": "e" * 64, "teacher": "f" * 64},
    training={"student": "s3", "labels": "soft", "temperature": 5.0},
    metrics={"test/accuracy": 0.9},
)
CALIBRATION = Calibration(
    temperature=2.0,
    items=40,
    priors={"ribosome": 0.5, "proteasome": 0.25, "chaperonin": 0.25},
    measured={"ece": 0.03, "ece_uncalibrated": 0.1},
)
UNKNOWN = Unknown(
    score="max_probability",
    threshold=0.45,
    false_rejection=0.05,
    items=40,
    held_out_a=("apoferritin", "urease"),
    held_out_b=("groel",),
    candidates={"max_probability": 0.9, "energy": 0.8},
    measured={"rejected": 0.7},
)
PASSED = Figures(
    agreement=1.0,
    accuracy=0.9,
    reference_accuracy=0.9,
    largest_difference=1e-5,
    items=40,
    passed=True,
)
FAILED = replace(PASSED, agreement=0.8, accuracy=0.7, passed=False)


def random_volumes(count: int, seed: int = 1, box: int = BOX) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(3.0, 2.0, size=(count, box, box, box)).astype(np.float32)


def write_random_version(folder: Path, *, seed: int, **known: Any) -> Path:
    """A sound version; another seed, other answers. `known`: fields of its manifest."""
    return _write(folder, seed, known, ())


def write_openvino_version(
    folder: Path, *, seed: int, known: dict[str, Any] | None = None, **figures: Figures
) -> Path:
    """The same version with OpenVINO's files; `figures` of OpenVINO in each precision."""
    of_openvino = {precision: asdict(reached) for precision, reached in figures.items()}
    known = {**(known or {}), "engines": {"keras": {"float32": {}}, "openvino": of_openvino}}
    with TemporaryDirectory() as work:
        return _write(folder, seed, known, write_openvino(_random_model(seed), Path(work)))


def _write(folder: Path, seed: int, known: dict[str, Any], artifacts: Iterable[Path]) -> Path:
    model, probe = _random_model(seed), random_volumes(4, seed=0)
    logits = Classifier(MANIFEST, KerasEngine(model)).logits(probe)
    manifest = replace(MANIFEST, metrics={"seed": float(seed)}, **known)
    write_version(folder, manifest, model, probe=probe, probe_logits=logits, artifacts=artifacts)
    return folder


def _random_model(seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    model = build("s3", box=BOX, classes=len(MANIFEST.class_names))
    tell_apart(model, random_volumes(4, seed=0), favourite=seed % 3)
    return model


def tell_apart(model: keras.Model, probe: np.ndarray, *, favourite: int) -> None:
    """Whatever the weights: logits of deviation 1 over the probe, their mean at the favourite."""
    logits = Classifier(MANIFEST, KerasEngine(model)).logits(probe)
    layer = model.get_layer("logits")
    scale = 1 / logits.std(axis=0)
    layer.kernel.assign(np.array(layer.kernel) * scale)
    layer.bias.assign(np.eye(3)[favourite] - logits.mean(axis=0) * scale)
