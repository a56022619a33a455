"""Requests that end otherwise than with an answer of the model."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.serving.asgi import Message, Request
from tests.serving.bodies import npy, volumes
from tests.serving.held import Held
from tomodistill.inference.classifier import Classifier

SOON = 10.0  # seconds


@pytest.fixture
def engine() -> Held:
    return Held()


@pytest.fixture
def held(client, classifiers, engine) -> Any:
    """The application with that engine."""
    service = client.app.state.service
    made = Classifier(classifiers["one"].manifest, engine)
    service.follower.current = replace(service.follower.current, classifier=made)
    yield client.app
    engine.gate.set()
    service.close()


async def started(engine: Held) -> None:
    assert await asyncio.to_thread(engine.started.wait, SOON)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON):
        while not holds():
            await asyncio.sleep(0.001)


def test_who_leaves_while_he_waits_leaves_the_queue(held, engine):
    room = held.state.service.room

    async def ask() -> None:
        first = Request(held, npy(volumes(1)))
        await started(engine)
        second = Request(held, npy(volumes(2)))
        await until(lambda: room.inside == 3)
        second.leave()
        await second.task
        assert room.inside == 1
        engine.gate.set()
        await first.task
        assert first.status == 200

    asyncio.run(ask())
    assert engine.computed == 1
    assert room.inside == 0


def test_who_leaves_while_he_sends_is_forgotten(held, engine):
    async def ask() -> None:
        await begun(held, b"\x93NUMPY", _gone).task

    asyncio.run(ask())
    assert held.state.service.room.inside == 0
    assert not engine.started.is_set()


async def _gone() -> Message:
    return {"type": "http.disconnect"}


async def _silent() -> Message:
    await asyncio.sleep(SOON)
    raise AssertionError("nobody waited for so long")


def begun(app: Any, chunk: bytes, then: Callable[[], Awaitable[Message]]) -> Request:
    """A request of which only `chunk` comes, and then that."""
    request = Request(app, b"", b"")
    request.chunks = [chunk]

    async def receive() -> Message:
        if request.chunks:
            return {"type": "http.request", "body": request.chunks.pop(), "more_body": True}
        return await then()

    request._receive = receive  # type: ignore[method-assign]
    return request


def test_at_the_deadline_the_answer_says_so(held, engine):
    held.state.service.config = replace(held.state.service.config, deadline_seconds=0.05)

    async def ask() -> Request:
        request = Request(held, npy(volumes(1)))
        await request.task
        return request

    request = asyncio.run(ask())
    assert request.status == 504
    assert "deadline" in request.error
    assert held.state.service.room.inside == 0


def test_an_engine_that_fails_is_no_500(held, engine):
    engine.fails = True
    engine.gate.set()

    async def ask() -> Request:
        request = Request(held, npy(volumes(1)))
        await request.task
        return request

    request = asyncio.run(ask())
    assert request.status == 503
    assert "RuntimeError: the device is lost" in request.error
    assert dict(request.sent[0]["headers"])[b"retry-after"] == b"1"


def test_a_full_service_refuses_before_it_reads(held, engine):
    service = held.state.service
    service.room._volumes = 2

    async def ask() -> Request:
        first = Request(held, npy(volumes(2)))
        await started(engine)
        refused = Request(held, npy(volumes(1)))
        await refused.task
        assert len(refused.chunks) == 1
        engine.gate.set()
        await first.task
        return refused

    refused = asyncio.run(ask())
    assert refused.status == 429
    assert dict(refused.sent[0]["headers"])[b"retry-after"] == b"1"


def test_a_body_that_does_not_come_is_given_up(held, engine):
    service = held.state.service
    service.config = replace(service.config, body_seconds=0.05)

    async def ask() -> Request:
        request = begun(held, npy(volumes(1))[:1000], _silent)
        await request.task
        return request

    request = asyncio.run(ask())
    assert request.status == 408
    assert service.room.inside == 0
