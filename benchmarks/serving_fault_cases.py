"""Faults, each a function: it does harm, sees that the old model goes on, and mends it.

It returns the seconds from the mending until all was well again, and raises RuntimeError where
something was not as it should be, TimeoutError where that took too long.
"""

import signal
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from serving_clients import npy
from serving_faulty import ONCE
from serving_http import post
from serving_processes import PATIENCE, wait_until
from serving_stage import BOMB, CACHE, CHANGED, LAMBDA, MARKER, TOLD, TRUNCATED, UNSEEN, Stage

from tests.versions import random_volumes
from tomodistill.inference.openvino_engine import WEIGHTS

_MANY = 16  # volumes of a request that takes a while
_LINGER = struct.pack("ii", 1, 0)  # a closed socket says so at once, unread or not
_DRIP = 0.5  # seconds between two bytes of a slow sender
_HEADER_SECONDS = 15.0  # in which one who drips his header is gone


@dataclass(frozen=True)
class Fault:
    """What is done, and what clients may see of it beside sound answers."""

    name: str
    do: Callable[[Stage], float | None]
    statuses: frozenset[int] = frozenset()
    may_lose: bool = False  # the answers to open connections
    failing: bool = False  # needs the engine that fails when it is told to
    at_once: bool = False  # all repeats run side by side, for they mostly wait


def registry_killed(stage: Stage) -> float:
    """SIGKILL, and started again."""
    stage.registry.end(signal.SIGKILL)
    stage.until_told()
    stage.registry.start()
    return stage.until_followed()


def registry_slow(stage: Stage) -> float:
    """It accepts connections and says nothing."""
    stage.registry.signal(signal.SIGSTOP)
    try:
        stage.until_told()
    finally:
        stage.registry.signal(signal.SIGCONT)
    return stage.until_followed()


def changed_files(stage: Stage) -> float:
    """In the artifact store lies a byte more than was registered."""
    with (stage.store(CHANGED) / WEIGHTS).open("ab") as file:
        file.write(b"x")
    return _refused(stage, CHANGED)


def truncated(stage: Stage) -> float:
    """Half a network, registered with digests that agree."""
    return _refused(stage, TRUNCATED)


def lambda_layer(stage: Stage) -> float:
    """A layer with code, which must not run."""
    seconds = _refused(stage, LAMBDA)
    if (stage.folder / MARKER).exists():
        raise RuntimeError("the code in the version has run")
    return seconds


def zip_bomb(stage: Stage) -> float:
    """A model.keras of a MiB that inflates to a GiB."""
    return _refused(stage, BOMB)


def full_disk(stage: Stage) -> float:
    """Nothing more fits into the cache."""
    if not stage.own_disk:
        raise RuntimeError("not played: this user may mount no small disk")
    stage.forget(UNSEEN)
    filler = stage.folder / CACHE / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(2**16))
    try:
        stage.promote(UNSEEN)
        stage.until_told(f"version {stage.versions[UNSEEN].number}")
    finally:
        filler.unlink()
    return stage.until_followed()


def terminated(stage: Stage) -> float:
    """SIGTERM: what it had received is answered; started again."""
    if status := stage.service.end(signal.SIGTERM):
        raise RuntimeError(f"exit status {status} after SIGTERM")
    return _started(stage)


def killed(stage: Stage) -> float:
    """SIGKILL while the registry is down: it starts from its cache."""
    stage.registry.end(signal.SIGKILL)
    before = stage.serving()
    stage.service.end(signal.SIGKILL)
    seconds = _started(stage)
    stage.until_told()
    if stage.serving() != before:
        raise RuntimeError(f"version {stage.serving()} in place of {before}")
    return seconds


def vanishing(stage: Stage) -> None:
    """Clients leave within their body, and while they wait; with a word and without."""
    request = _large_request()
    for sent in (len(request) // 2, len(request)):
        for options in (_LINGER, struct.pack("ii", 0, 0)):
            with _connected(stage) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, options)
                client.sendall(request[:sent])


def slow_bodies(stage: Stage) -> None:
    """A byte now and then: answered 408, once."""
    header, _, body = _large_request().partition(b"\r\n\r\n")
    with _connected(stage) as client:
        client.sendall(header + b"\r\n\r\n")
        answer = _drip(client, body)
    if not answer.startswith(b"HTTP/1.1 408") or answer.count(b"HTTP/1.1") != 1:
        raise RuntimeError(f"to a slow body: {answer[:200]!r}")


def slow_headers(stage: Stage) -> None:
    """Likewise, before there is a request that could be answered: let go."""
    start = time.monotonic()
    with _connected(stage) as client:
        _drip(client, _large_request())
    if time.monotonic() - start > _HEADER_SECONDS:
        raise RuntimeError(f"held for {time.monotonic() - start:.0f} s")


def engine_fails_once(stage: Stage) -> float:
    """One call of the engine raises."""
    flag = stage.folder / TOLD / ONCE
    flag.touch()
    seconds = wait_until(lambda: not flag.exists(), "a call of the engine")
    if error := stage.ready()["refresh_error"]:
        raise RuntimeError(f"after one error: {error}")
    return seconds


def engine_keeps_failing(stage: Stage) -> float:
    """Every call of a version's engine raises: back to the one before, without being told."""
    stage.until_followed()
    bad, good = stage.serving(), stage.other()
    flag = stage.folder / TOLD / f"{stage.versions[bad].number}"
    flag.touch()
    try:
        seconds = wait_until(lambda: stage.serving() == good, f"version {good} to take over")
        stage.until_told("rolled back")
    finally:
        flag.unlink()
    stage.reload()
    if stage.serving() != bad:
        raise RuntimeError(f"version {stage.serving()} serves after a reload, not {bad}")
    return seconds


def _refused(stage: Stage, name: str) -> float:
    stage.promote(name)
    stage.until_told(f"version {stage.versions[name].number} not loaded")
    return stage.until_followed()


def _started(stage: Stage) -> float:
    start = time.monotonic()
    stage.service.start()
    return time.monotonic() - start


def _large_request() -> bytes:
    return post("/classify", npy(random_volumes(_MANY)), "application/octet-stream")


def _connected(stage: Stage) -> socket.socket:
    return socket.create_connection(("127.0.0.1", stage.service.port), timeout=PATIENCE)


def _drip(client: socket.socket, content: bytes) -> bytes:
    """What comes back, until the other side closes."""
    client.settimeout(_DRIP)
    answer = b""
    for byte in content:
        with suppress(TimeoutError):
            answer = client.recv(2**16)
            break
        client.send(bytes([byte]))
    with suppress(ConnectionResetError):  # it closes, though the last byte was not read
        while more := client.recv(2**16):
            answer += more
    return answer


FAULTS = (
    Fault("registry stopped", registry_killed),
    Fault("registry slow", registry_slow),
    Fault("wrong digest", changed_files),
    Fault("truncated model", truncated),
    Fault("Lambda layer", lambda_layer),
    Fault("zip bomb", zip_bomb),
    Fault("full disk", full_disk),
    Fault("SIGTERM", terminated, frozenset({503})),
    Fault("SIGKILL", killed, frozenset({503}), may_lose=True),
    Fault("clients vanish", vanishing),
    Fault("slow bodies", slow_bodies, at_once=True),
    Fault("slow headers", slow_headers, at_once=True),
    Fault("engine fails once", engine_fails_once, frozenset({503}), failing=True),
    Fault("engine keeps failing", engine_keeps_failing, frozenset({503}), failing=True),
)
