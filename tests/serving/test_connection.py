"""Clients that speak badly, slowly or not at all."""

import json
import socket
import time
from collections.abc import Iterator

import pytest

from serving import connection
from serving.app import create_app
from serving.config import ServiceConfig
from serving.server import Server
from tests.processes import wait_for
from tests.serving.listening import connected, everything, listening, post

LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = b"POST /classify HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"


@pytest.fixture
def port(app) -> Iterator[int]:
    with listening(app) as (_, port):
        yield port


def answer(received: bytes) -> tuple[int, dict]:
    """Status and JSON of the one answer in `received`."""
    assert received.count(b"HTTP/1.1 ") == 1, received
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head
    return int(head.split()[1]), json.loads(body)


NO_HTTP = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 9,  # TLS
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
    b"CONNECT localhost:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    CHUNKED + b"\r\nno size\r\n",
]


def test_what_is_no_http_is_answered_in_json(port):
    for sent in NO_HTTP:
        with connected(port) as client:
            client.sendall(sent)
            status, said = answer(everything(client))
        assert (status, set(said)) == (400, {"error"}), sent


def endless(client: socket.socket, start: bytes, part: bytes) -> int:
    """How many bytes of `part`, again and again after `start`, are taken: at most 64 MiB."""
    client.sendall(start)
    sent = 0
    try:
        while sent < 2**26:
            client.sendall(part * 100)
            sent += 100 * len(part)
    except OSError:
        pass
    return sent


@pytest.mark.parametrize(
    ("start", "part"),
    [
        (b"GET /", b"x" * 1000),
        (b"GET / HTTP/1.1\r\nX: ", b"x" * 1000),
        (b"GET / HTTP/1.1\r\n", b"x: y\r\n" * 100),
        (
            CHUNKED + b"\r\n0\r\n",
            b"x: y\r\n" * 100,
        ),
        (
            CHUNKED + b"\r\n1;",
            b"x" * 1000,
        ),
        (LIVE, LIVE * 30),
    ],
    ids=["path", "header value", "headers", "trailers", "chunk extension", "pipeline"],
)
def test_nothing_endless_is_kept(port, start, part):
    with connected(port) as client:
        assert endless(client, start, part) < 2**25  # what the kernel holds for both sides


def test_chunks_of_single_bytes_are_a_body(port):
    with connected(port) as client:
        client.sendall(
            CHUNKED + b"Connection: close\r\n\r\n" + b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n"
        )
        status, said = answer(everything(client))
    assert status == 503  # it was read: there is no model
    assert "no model" in said["error"]


def test_whoever_sends_no_request_is_let_go(port, monkeypatch):
    monkeypatch.setattr(connection, "HEADER_SECONDS", 0.2)
    monkeypatch.setattr(connection, "KEEP_ALIVE_SECONDS", 0.2)
    refused = post(b"x", length=2**30)  # answered at once, and still to be read
    with connected(port) as silent, connected(port) as slow, connected(port) as late:
        slow.sendall(LIVE[:20])
        late.sendall(refused)
        started = time.monotonic()
        assert everything(silent) == b""
        assert everything(slow) == b""
        assert answer(everything(late))[0] == 503
        assert time.monotonic() - started < 5
    with connected(port) as good:
        good.sendall(LIVE)
        assert answer(good.recv(4096)) == (200, {"live": True})


def test_whoever_does_not_read_is_let_go(app, monkeypatch):
    monkeypatch.setattr(connection, "_WRITE_SECONDS", 0.2)
    asked = b"GET /docs/files/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with listening(app) as (server, port), connected(port) as client:
        client.sendall(asked * 12)  # more than kernels hold
        wait_for(lambda: bool(server.server_state.connections))
        wait_for(lambda: not server.server_state.connections, seconds=10)


@pytest.fixture
def crowded(registry) -> Iterator[tuple[Server, int]]:
    config = ServiceConfig(connections=2)
    app = create_app(config, resolve=registry.resolve, download=registry.download)
    with listening(app) as listens:
        yield listens


def test_too_many_connections_are_answered_until_there_are_far_too_many(crowded):
    server, port = crowded
    open_ones = [connected(port) for _ in range(4)]
    wait_for(lambda: len(server.server_state.connections) == 4)
    with connected(port) as fifth:
        assert everything(fifth) == b""
    *rest, last = open_ones
    last.sendall(LIVE)
    status, said = answer(last.recv(4096))
    assert status == 503
    assert "fewer connections" in said["error"]
    for one in rest[:2]:
        one.close()
    wait_for(lambda: len(server.server_state.connections) == 2)
    assert everything(last) == b""  # it makes room
    with connected(port) as again:
        again.sendall(LIVE)
        assert answer(again.recv(4096)) == (200, {"live": True})
    for one in open_ones:
        one.close()
