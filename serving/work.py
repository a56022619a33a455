"""From the body of a request to decisions, the same way for every protocol:

admit -> read -> prepare (threads) -> queue -> engine (dispatcher) -> decide
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from fastapi import HTTPException, Request
from numpy.typing import NDArray
from starlette.requests import ClientDisconnect

from serving.admission import Room
from serving.batching import Dispatcher, EngineError
from serving.body import read_body
from serving.config import ServiceConfig
from serving.errors import refusing
from serving.follower import Follower, Served
from serving.metrics import Metrics
from tomodistill.inference.classifier import Decisions
from tomodistill.inference.preparation import Prepared
from tomodistill.inference.version import Manifest
from tomodistill.machine import cores
from tomodistill.subtomograms.preprocessing import Contrast

T = TypeVar("T")
_FLOAT32 = 4  # bytes


@dataclass(frozen=True)
class Asked:
    """What a body holds."""

    volumes: NDArray[Any]  # (n, d, d, d), as `check_volumes` leaves them
    voxel_spacing: float | None = None  # Å; None: not stated
    contrast: Contrast | None = None  # None: not stated


Parse = Callable[[Manifest, bytearray], Asked]  # raises HTTPException for what it refuses


@dataclass(frozen=True)
class Answered:
    """What is said of the volumes, and by which model."""

    served: Served
    prepared: Prepared
    decisions: Decisions


class Service:
    """What the routes share."""

    def __init__(self, config: ServiceConfig, follower: Follower) -> None:
        self.config, self.follower, self.metrics = config, follower, Metrics()
        self.dispatcher = Dispatcher(self.metrics, on_result=follower.heard)
        self.room = Room(config.queue, self.metrics, rate=lambda: self.dispatcher.rate)
        self.pool = ThreadPoolExecutor(cores(), thread_name_prefix="prepare")

    def served(self) -> Served:
        """The model of this moment; a request keeps it even if another takes over meanwhile."""
        served = self.follower.current
        if served is None:
            raise HTTPException(503, f"no model is loaded: {self.follower.problem}")
        return served

    def close(self) -> None:
        """End the threads; whoever still waits is answered by his own deadline."""
        self.dispatcher.close()
        self.pool.shutdown(wait=False, cancel_futures=True)


def service(request: Request) -> Service:
    """Of the application that was asked."""
    found: Service = request.app.state.service
    return found


async def classify(request: Request, parse: Parse, *, seconds: float | None = None) -> Answered:
    """Decisions on the volumes in the body of a request, within `seconds`.

    Raises HTTPException for whatever stands against it, and ClientDisconnect if nobody waits.
    """
    own = service(request)
    served = own.served()
    deadline = time.monotonic() + min(seconds or np.inf, own.config.deadline_seconds)
    with own.room.entered(_claimed(request, served)) as ticket:
        body = await _timed(own, "read", read_body(request, own.config))
        prepared = await _timed(own, "prepare", _in_pool(own, _prepare, served, parse, body))
        del body
        ticket.hold(len(prepared.volumes))
        logits = await _while_connected(
            request, own.dispatcher.logits(served, prepared.volumes, deadline=deadline)
        )
    return Answered(served, prepared, served.classifier.decisions(logits, priors=served.priors))


def _claimed(request: Request, served: Served) -> int:
    """Volumes that the body may hold, by its declared length."""
    length = request.headers.get("content-length", "")
    volume = _FLOAT32 * served.classifier.manifest.box**3  # bytes
    return max(int(length) // volume, 1) if length.isdecimal() else 1


def _prepare(served: Served, parse: Parse, body: bytearray) -> Prepared:
    """The heavy part, off the event loop."""
    asked = parse(served.classifier.manifest, body)
    with refusing(422):
        return served.classifier.prepare(
            asked.volumes, voxel_spacing=asked.voxel_spacing, contrast=asked.contrast
        )


async def _in_pool(own: Service, function: Callable[..., T], *arguments: Any) -> T:
    return await asyncio.get_running_loop().run_in_executor(own.pool, function, *arguments)


async def _timed(own: Service, stage: str, work: Awaitable[T]) -> T:
    started = time.monotonic()
    try:
        return await work
    finally:
        own.metrics.stage.labels(stage).observe(time.monotonic() - started)


async def _while_connected(request: Request, work: Awaitable[T]) -> T:
    """The result, unless the client leaves: then the work is cancelled."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return await _or_refusal(working)
    finally:
        for task in (leaving, working):
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


async def _or_refusal(working: Awaitable[T]) -> T:
    try:
        return await working
    except TimeoutError as error:
        raise HTTPException(504, "the deadline passed before the volumes had their turn") from error
    except EngineError as error:
        raise HTTPException(
            503, f"the engine failed ({error}); try again", headers={"Retry-After": "1"}
        ) from error
