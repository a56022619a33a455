"""The application in a process of its own, over real sockets."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace

import httpx
import numpy as np
import pytest

from serving import server as server_module
from serving.config import ServiceConfig
from serving.server import check_port
from tests.processes import environment, free_port, get, running, wait_for, wait_until_up
from tests.serving.bodies import malformed, npy, volumes
from tests.serving.listening import listening
from tests.versions import MANIFEST
from tomodistill.errors import InputError

PATIENCE = 60  # seconds


@pytest.fixture
def server(registry) -> Iterator[tuple[subprocess.Popen, str]]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "tests.serving.folder_registry", str(registry.root), str(port)]
    with running(command, env=environment(), stderr=subprocess.PIPE) as process:
        wait_until_up(process, f"{url}/health/ready")
        yield process, url


def test_life_of_a_service(server, registry, classifiers, tmp_path):
    process, url = server
    stack = volumes(2)
    with httpx.Client(base_url=url, timeout=PATIENCE) as client:

        def answers_rightly(version: str, name: str) -> None:
            answer = client.post("/classify", content=npy(stack)).json()
            assert answer["model"]["version"] == version
            by_class = [p["probabilities"] for p in answer["predictions"]]
            got = [[p[n] for n in MANIFEST.class_names] for p in by_class]
            np.testing.assert_allclose(got, classifiers[name].probabilities(stack), atol=1e-5)

        answers_rightly("1", "one")
        for name, (body, status, _) in malformed(tmp_path).items():
            assert client.post("/classify", content=body).status_code == status, name
        for _ in range(2):  # far above the limit, with and without a declared length
            assert client.post("/classify", content=bytes(2**24)).status_code == 413
            chunks = (bytes(2**20) for _ in range(16))
            assert client.post("/classify", content=chunks).status_code == 413
        registry.promote("2")
        wait_for(lambda: get(f"{url}/health/ready")["version"] == "2")
        answers_rightly("2", "two")
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "serving subtomogram-student version 2 on" in log
    assert "Traceback" not in log


def test_a_port_in_use_is_refused_before_anything_is_loaded():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"a free port at 127.0.0.1:{port}"):
            check_port(ServiceConfig(port=port))
    check_port(ServiceConfig(port=port))


def test_what_is_loaded_is_left_out_of_collections(app, client, monkeypatch):
    called: list[str] = []
    calls = {name: partial(called.append, name) for name in ("collect", "freeze")}
    monkeypatch.setattr(server_module, "gc", SimpleNamespace(**calls))
    with listening(app) as (listens, _):
        listens.alone = True
        wait_for(lambda: len(called) > 1)
        metrics = app.state.service.metrics
        metrics.connections.set(-1)
        wait_for(lambda: not metrics.registry.get_sample_value("tomodistill_connections"))
    assert called == ["collect", "freeze"]  # also after another look
