import warnings
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from serving.app import create_app
from serving.config import ServiceConfig
from serving.follower import Served
from tests.serving.bodies import BOX, SPACING, volumes
from tests.serving.folder_registry import URI, FolderRegistry
from tomodistill.inference.classifier import Classifier
from tomodistill.inference.engines import KerasEngine
from tomodistill.inference.version import Manifest, write_version
from tomodistill.networks.build import build
from tomodistill.subtomograms.preprocessing import Preprocessing

with warnings.catch_warnings():  # it would rather have a successor of httpx
    warnings.filterwarnings("ignore", "Using `httpx` with")
    from fastapi.testclient import TestClient

MANIFEST = Manifest(
    network="s3",
    role="student",
    class_names=("ribosome", "proteasome", "groel"),
    box=BOX,
    voxel_spacing=SPACING,
    contrast="dark",
    preprocessing=Preprocessing(lowpass=30.0),
    tilt_range=(-60.0, 60.0),
    snr_range=(0.1, 0.5),
    digests={"data": "d" * 64, "soft_labels": "e" * 64, "teacher": "f" * 64},
    training={"labels": "soft", "temperature": 5.0},
    metrics={"test/accuracy": 0.9},
)


def _write(folder: Path, seed: int) -> Path:
    keras.utils.set_random_seed(seed)
    model = build("s3", box=BOX, classes=3)
    probe = volumes(4, seed=0)
    _tell_apart(model, probe, favourite=seed % 3)
    logits = Classifier(MANIFEST, KerasEngine(model)).logits(probe)
    manifest = replace(MANIFEST, metrics={"seed": float(seed)})
    write_version(folder, manifest, model, probe=probe, probe_logits=logits)
    return folder


def _tell_apart(model: keras.Model, probe: np.ndarray, *, favourite: int) -> None:
    """Whatever the weights: logits of deviation 1 over the probe, their mean at the favourite."""
    logits = Classifier(MANIFEST, KerasEngine(model)).logits(probe)
    kernel, bias = model.layers[-1].kernel, model.layers[-1].bias
    scale = 1 / logits.std(axis=0)
    kernel.assign(np.array(kernel) * scale)
    bias.assign(np.eye(3)[favourite] - logits.mean(axis=0) * scale)


@pytest.fixture(scope="session")
def versions(tmp_path_factory) -> dict[str, Path]:
    """Two sound versions with different answers, and a third with one byte flipped."""
    root = tmp_path_factory.mktemp("versions")
    made = {name: _write(root / name, seed) for seed, name in enumerate(("one", "two"))}
    broken = _write(root / "broken", 3)
    content = bytearray((broken / "model.keras").read_bytes())
    content[len(content) // 2] ^= 1
    (broken / "model.keras").write_bytes(content)
    return {**made, "broken": broken}


@pytest.fixture(scope="session")
def classifiers(versions) -> dict[str, Classifier]:
    return {name: Classifier.load(versions[name]) for name in ("one", "two")}


@pytest.fixture
def registry(tmp_path, versions) -> FolderRegistry:
    """Version 1 in production, 2 another, 3 broken."""
    registry = FolderRegistry(tmp_path / "registry")
    for version, name in (("1", "one"), ("2", "two"), ("3", "broken")):
        registry.publish(version, versions[name])
    registry.promote("1")
    return registry


@pytest.fixture
def app(registry):
    """Nothing polls: a test refreshes when it wants to."""
    return create_app(
        ServiceConfig(max_body_mib=1), resolve=registry.resolve, download=registry.download
    )


@pytest.fixture
def client(app, registry, classifiers) -> TestClient:
    """Version 1 is loaded already."""
    follower = app.state.follower
    follower.current, follower.problem = Served(classifiers["one"], registry.resolve(URI)), None
    return TestClient(app)  # without `with`: the lifespan, and so the thread, is not started


@pytest.fixture
def volume() -> np.ndarray:
    return volumes(1)[0]
