"""By which engine the service answers, and what it need not import for it."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from serving.app import create_app
from serving.config import ServiceConfig
from tests.processes import PATIENCE, environment
from tests.serving.bodies import npy, volumes
from tests.serving.conftest import TestClient
from tests.serving.folder_registry import FolderRegistry
from tests.versions import FAILED, MANIFEST, PASSED, write_openvino_version
from tomodistill.inference.classifier import Classifier

ENGINES = {
    "keras": {"float32": {}},
    "openvino": {"float32": asdict(PASSED), "bfloat16": asdict(FAILED)},
}
# The whole entry point is imported, and one volume classified.
ASK = """
import sys
from pathlib import Path
import entrypoints.serve
from serving.app import create_app
from serving.config import ServiceConfig
from tests.serving.folder_registry import FolderRegistry
from fastapi.testclient import TestClient
registry = FolderRegistry(Path(sys.argv[1]))
app = create_app(ServiceConfig(), resolve=registry.resolve, download=registry.download)
app.state.service.follower.refresh()
client = TestClient(app, "http://127.0.0.1")
print(client.post("/classify", content=Path(sys.argv[2]).read_bytes()).text)
print(*sys.modules)
"""


@pytest.fixture(scope="module")
def fast(tmp_path_factory) -> Path:
    """A version with OpenVINO's files, which passed in float32 and failed in bfloat16."""
    folder = tmp_path_factory.mktemp("versions") / "fast"
    return write_openvino_version(folder, seed=0, float32=PASSED, bfloat16=FAILED)


@pytest.fixture
def in_production(fast, tmp_path) -> FolderRegistry:
    registry = FolderRegistry(tmp_path / "fast-registry")
    registry.publish("1", fast)
    registry.promote("1")
    return registry


def client(registry, **config: str) -> TestClient:
    """Of a service that has looked once for its model."""
    app = create_app(ServiceConfig(**config), resolve=registry.resolve, download=registry.download)
    app.state.service.follower.refresh()
    return TestClient(app)


def test_answers_say_by_what_they_were_computed(in_production, fast, caplog):
    caplog.set_level("INFO", logger="serving")
    asked = client(in_production, engine="openvino")
    answer = asked.post("/classify", content=npy(volumes(2))).json()
    facts = asked.get("/model").json()
    for said in (answer, facts):
        assert (said["engine"], said["precision"]) == ("openvino", "float32")
        assert said["device"].startswith("cpu")
        assert said["why"] == asked.app.state.service.follower.current.classifier.why != ""
    assert facts["engines"] == ENGINES
    assert f"on {facts['device']} by openvino in float32: {facts['why']}" in caplog.text
    by_class = [p["probabilities"] for p in answer["predictions"]]
    got = [[p[name] for name in MANIFEST.class_names] for p in by_class]
    expected = Classifier.load(fast, engine="keras").probabilities(volumes(2))
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_the_engine_that_was_asked_for_serves(in_production):
    facts = client(in_production, engine="keras", precision="float32").get("/model").json()
    assert (facts["engine"], facts["precision"]) == ("keras", "float32")


@pytest.mark.parametrize(
    ("engine", "words"), [("openvino", "agreement 0.8"), ("keras", "a device that has float32")]
)
def test_a_precision_that_did_not_pass_serves_nobody(in_production, engine, words):
    answer = client(in_production, engine=engine, precision="bfloat16").get("/health/ready")
    assert answer.status_code == 503
    assert f"precision=bfloat16 with {engine}; found" in answer.json()["error"]
    assert words in answer.json()["error"]


def test_on_a_cpu_the_service_needs_no_tensorflow(in_production, tmp_path):
    body = tmp_path / "one.npy"
    body.write_bytes(npy(volumes(1)))
    hidden = environment(CUDA_VISIBLE_DEVICES="-1")
    command = [sys.executable, "-c", ASK, str(in_production.root), str(body)]
    done = subprocess.run(
        command, env=hidden, capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    answer, modules = done.stdout.splitlines()
    assert json.loads(answer)["engine"] == "openvino"
    loaded = set(modules.split())
    assert {"openvino", "mlflow"} <= loaded
    assert not loaded & {"keras", "tensorflow", "jax"}
