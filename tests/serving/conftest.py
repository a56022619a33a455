import warnings
from pathlib import Path

import numpy as np
import pytest

from serving.app import create_app
from serving.config import ServiceConfig
from serving.follower import Served
from tests.serving.folder_registry import URI, FolderRegistry
from tests.versions import random_volumes, write_random_version
from tomodistill.inference.classifier import Classifier

with warnings.catch_warnings():  # it would rather have a successor of httpx
    warnings.filterwarnings("ignore", "Using `httpx` with")
    from fastapi.testclient import TestClient


@pytest.fixture(scope="session")
def versions(tmp_path_factory) -> dict[str, Path]:
    """Two sound versions with different answers, and a third with one byte flipped."""
    root = tmp_path_factory.mktemp("versions")
    made = {
        name: write_random_version(root / name, seed=seed)
        for seed, name in enumerate(("one", "two"))
    }
    broken = write_random_version(root / "broken", seed=3)
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
    follower = app.state.service.follower
    follower.current, follower.problem = Served(classifiers["one"], registry.resolve(URI)), None
    return TestClient(app)  # without `with`: the lifespan, and so the thread, is not started


@pytest.fixture
def volume() -> np.ndarray:
    return random_volumes(1)[0]
