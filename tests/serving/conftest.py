import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI

from serving.app import create_app
from serving.config import ServiceConfig
from serving.follower import Served
from tests.serving.folder_registry import URI, FolderRegistry
from tests.serving.quick_loads import QuickLoads
from tests.versions import random_volumes, write_random_version
from tomodistill.inference.classifier import Classifier

with warnings.catch_warnings():  # it would rather have a successor of httpx
    warnings.filterwarnings("ignore", "Using `httpx` with")
    from fastapi import testclient


class TestClient(testclient.TestClient):
    """Calls the service by the address that it is bound to: other names are refused."""

    def __init__(self, app: FastAPI, **options: Any) -> None:
        super().__init__(app, base_url="http://127.0.0.1:8000", **options)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """What one test noted as served last, no other starts with."""
    monkeypatch.setenv("TOMODISTILL_DATA", str(tmp_path / "data"))


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
def quick(registry, classifiers) -> QuickLoads:
    """Versions 1 and 2 are loaded at once, 3 never."""
    return QuickLoads(registry, {"1": classifiers["one"], "2": classifiers["two"]})


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
