"""The application in a process of its own, over real sockets."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import httpx
import numpy as np
import pytest

from serving.config import ServiceConfig
from serving.server import check_port
from tests.serving.bodies import malformed, npy, volumes
from tests.versions import MANIFEST
from tomodistill.errors import InputError

PATIENCE = 60  # seconds


@pytest.fixture
def server(registry) -> Iterator[tuple[subprocess.Popen, str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.serving.folder_registry"]
    process = subprocess.Popen(
        [*command, str(registry.root), str(port)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def _wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.05)
    raise TimeoutError


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

        _wait_for(lambda: client.get("/health/ready").status_code == 200)
        answers_rightly("1", "one")
        for name, (body, status, _) in malformed(tmp_path).items():
            assert client.post("/classify", content=body).status_code == status, name
        for _ in range(2):  # far above the limit, with and without a declared length
            assert client.post("/classify", content=bytes(2**24)).status_code == 413
            chunks = (bytes(2**20) for _ in range(16))
            assert client.post("/classify", content=chunks).status_code == 413
        registry.promote("2")
        _wait_for(lambda: client.get("/health/ready").json()["version"] == "2")
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
