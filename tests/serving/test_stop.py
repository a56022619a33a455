"""Told to stop, the service answers what it was asked."""

import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from serving import connection, server
from serving.server import Server
from tests.processes import wait_for
from tests.serving.bodies import npy, volumes
from tests.serving.held import Held
from tests.serving.listening import connected, everything, listening, post

BODY = npy(volumes(1))


@pytest.fixture
def held(app, client) -> Held:
    """The engine of the version in service, which waits for its gate."""
    engine, follower = Held(), app.state.service.follower
    slow = replace(follower.current.classifier, engine=engine)
    follower.current = replace(follower.current, classifier=slow)
    return engine


@pytest.fixture
def service(app, held, monkeypatch) -> Iterator[tuple[Server, int]]:
    monkeypatch.setattr(connection, "_BODY_SECONDS", 0.3)
    monkeypatch.setattr(server, "_ONCE_SECONDS", 0.0)
    with listening(app) as (listens, port):
        wait_for(lambda: app.state.service.follower.problem is None)
        yield listens, port
        held.gate.set()


def ask(port: int, engine: Held) -> socket.socket:
    """A request that is being computed."""
    client = connected(port)
    client.sendall(post(BODY))
    assert engine.started.wait(10)
    return client


def drain(app: Any, seconds: float) -> None:
    own = app.state.service
    own.config = replace(own.config, drain_seconds=seconds)


def test_it_is_not_ready_at_once_and_answers_until_load_balancers_know(app, held, service):
    listens, port = service
    held.gate.set()
    drain(app, 1.0)
    listens.handle_exit(signal.SIGTERM, None)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert client.get("/health/ready").status_code == 503
        assert client.get("/v2/health/ready").status_code == 503
        assert client.get("/health/live").status_code == 200
        answer = client.post("/classify", content=BODY)
        assert answer.status_code == 200
        assert "connection" not in answer.headers  # whoever came anew could be too late
        wait_for(lambda: listens.should_exit, seconds=5)
        wait_for(lambda: not listens.servers[0].is_serving(), seconds=5)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/health/live")


def test_what_is_computed_is_awaited_but_no_slow_or_idle_client(held, service):
    listens, port = service
    computed = ask(port, held)
    slow, idle, late = connected(port), connected(port), connected(port)
    slow.sendall(post(BODY[:100], length=len(BODY)))
    wait_for(lambda: len(listens.server_state.connections) == 4)
    listens.handle_exit(signal.SIGTERM, None)
    wait_for(lambda: not listens.servers[0].is_serving(), seconds=5)
    late.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")  # it cannot know
    assert everything(late).startswith(b"HTTP/1.1 200")
    assert everything(slow).startswith(b"HTTP/1.1 503")
    assert everything(idle) == b""
    held.gate.set()
    assert everything(computed).startswith(b"HTTP/1.1 200")
    for client in (computed, slow, idle, late):
        client.close()


def test_a_second_signal_ends_it(app, held, service):
    listens, port = service
    drain(app, 100.0)
    with ask(port, held) as computed:
        listens.handle_exit(signal.SIGTERM, None)
        started = time.monotonic()
        listens.handle_exit(signal.SIGTERM, None)
        said = everything(computed)
        assert said.startswith(b"HTTP/1.1 503")
        assert b'{"error":"the service stops' in said
        assert time.monotonic() - started < 5


def test_an_engine_that_does_not_come_back_asks_for_a_restart(held, service, monkeypatch):
    _, port = service
    with ask(port, held), httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert client.get("/health/live").status_code == 200
        monkeypatch.setattr("serving.batching._STUCK_SECONDS", 0.0)
        answer = client.get("/health/live")
        assert (answer.status_code, set(answer.json())) == (503, {"error"})
        held.gate.set()
        wait_for(lambda: client.get("/health/live").status_code == 200, seconds=5)
