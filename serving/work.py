"""From the body of a request to decisions, the same way for every protocol:

admit -> read -> prepare (threads) -> queue -> engine (dispatcher) -> decide
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request
from numpy.typing import NDArray
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from serving.admission import Room, Ticket
from serving.batching import Dispatcher, EngineError, Job, deliver
from serving.body import Body, declared_length, read_body
from serving.config import ServiceConfig
from serving.errors import refusing
from serving.follower import Follower
from serving.loading import Served
from serving.metrics import Metrics
from serving.observing import facts
from tomodistill.inference.classifier import Decisions
from tomodistill.inference.preparation import Prepared
from tomodistill.inference.version import Manifest
from tomodistill.machine import cores, stand_behind
from tomodistill.subtomograms.preprocessing import Contrast

T = TypeVar("T")
_FLOAT32 = 4  # bytes


@dataclass(frozen=True)
class Asked:
    """What a body holds."""

    volumes: NDArray[Any]  # (n, d, d, d), as `check_volumes` leaves them
    voxel_spacing: float | None = None  # Å; None: not stated
    contrast: Contrast | None = None  # None: not stated
    seconds: float | None = None  # to be answered within; None: no wish


Parse = Callable[[Manifest, bytearray], Asked]  # raises HTTPException for what it refuses


@dataclass(frozen=True)
class Answered:
    """What is said of the volumes, and by which model."""

    served: Served
    prepared: Prepared
    decisions: Decisions


class Service:
    """What the routes share."""

    def __init__(self, config: ServiceConfig, follower: Follower, metrics: Metrics) -> None:
        self.config, self.follower, self.metrics = config, follower, metrics
        self.metrics.follow(lambda: follower.current)
        self.draining = False  # told to stop: still serving, but no new clients are wanted
        self.dispatcher = Dispatcher(self.metrics, on_result=follower.heard)
        self.room = Room(
            config.queue,
            self.metrics,
            seconds=config.deadline_seconds / 2,  # the rest is for what cannot be foreseen
            rate=lambda: self.dispatcher.rate,
        )
        self.pool = ThreadPoolExecutor(
            cores(), thread_name_prefix="prepare", initializer=stand_behind
        )

    def served(self) -> Served:
        """The model of this moment; a request keeps it even if another takes over meanwhile."""
        served = self.follower.current
        if served is None:
            raise HTTPException(503, f"no model is loaded: {self.follower.problem}")
        return served

    def ready(self) -> Served:
        """The model, if clients are wanted. Raises HTTPException 503."""
        if self.draining:
            raise HTTPException(503, "the service stops")
        return self.served()

    def check_alive(self) -> None:
        """Raises HTTPException 503 if only a restart can help."""
        if not self.dispatcher.alive:
            raise HTTPException(503, "the engine does not come back from a batch")

    def close(self) -> None:
        """End the threads; whoever still waits is answered by his own deadline."""
        self.dispatcher.close()
        self.pool.shutdown(wait=False, cancel_futures=True)


def service(request: Request) -> Service:
    """Of the application that was asked."""
    found: Service = request.app.state.service
    return found


async def classify(request: Request, parse: Parse) -> Answered:
    """Decisions on the volumes in the body of a request.

    Raises HTTPException for whatever stands against it, and ClientDisconnect if nobody waits.
    """
    own = service(request)
    served = own.served()
    known = facts(request.scope)
    known["version"] = served.resolved.version
    job = Job(served, deadline=time.monotonic() + own.config.deadline_seconds)
    with own.room.entered(_volumes_in(declared_length(request, own.config), served)) as ticket:
        body = await _timed(own, "read", read_body(request, own.config))
        known["bytes"] = len(body.sent)
        ticket.hold(_volumes_in(len(body.sent), served))
        own.pool.submit(_prepare_and_queue, own, job, parse, body, ticket)
        del body
        await _while_connected(request, own, job)
    known["volumes"] = len(job.volumes)
    own.metrics.classified.inc(known["volumes"])
    decisions = served.classifier.decisions(job.logits, priors=served.priors)
    return Answered(served, job.prepared, decisions)


def _volumes_in(length: int | None, served: Served) -> int:
    """Volumes that a body of that many bytes may hold; of one that says nothing, 1."""
    return max((length or 0) // (_FLOAT32 * served.classifier.manifest.box**3), 1)


def _prepare_and_queue(own: Service, job: Job, parse: Parse, body: Body, ticket: Ticket) -> None:
    """In a thread, the heavy part: from bytes to what the engine takes, and on to it."""
    if job.future.done():  # nobody waits any more
        return
    started = time.monotonic()
    try:
        job.begin(_prepared(job, parse, body))
        ticket.hold(len(job.volumes))
    except Exception as error:  # whatever it is, somebody waits for it
        deliver([(job, _bare(error))])
        return
    own.metrics.stage.labels("prepare").observe(time.monotonic() - started)
    own.dispatcher.put(job)


def _prepared(job: Job, parse: Parse, body: Body) -> Prepared:
    """And the deadline that the body may set."""
    asked = parse(job.served.classifier.manifest, body.plain())
    if asked.seconds is not None:
        job.deadline = min(job.deadline, time.monotonic() + asked.seconds)
    with refusing(422):
        return job.served.classifier.prepare(
            asked.volumes, voxel_spacing=asked.voxel_spacing, contrast=asked.contrast
        )


async def _timed(own: Service, stage: str, work: Awaitable[T]) -> T:
    started = time.monotonic()
    try:
        return await work
    finally:
        own.metrics.stage.labels(stage).observe(time.monotonic() - started)


async def _while_connected(request: Request, own: Service, job: Job) -> None:
    """Until the job is done; one whose client leaves, or whose deadline passes, is dropped."""
    leaving = asyncio.ensure_future(request.receive())
    either: set[asyncio.Future[Any]] = {job.future, leaving}
    try:
        await asyncio.wait(
            either,
            timeout=job.deadline - time.monotonic(),
            return_when=asyncio.FIRST_COMPLETED,
        )
        if not job.future.done():
            raise ClientDisconnect if leaving.done() else _too_late()
        _check(job)
    finally:
        leaving.cancel()
        own.dispatcher.drop(job)
        if not job.future.cancel():  # it is done: what it raised has been seen
            job.future.exception()


def _check(job: Job) -> None:
    """Raises HTTPException for what went wrong with it."""
    error = job.future.exception()
    if isinstance(error, TimeoutError):
        raise _too_late()
    if isinstance(error, EngineError):
        raise HTTPException(
            503, f"the engine failed ({error}); try again", headers={"Retry-After": "1"}
        )
    if error:
        raise _bare(error)


def _bare(error: T) -> T | HTTPException:
    """A refusal without the frames that it came through.

    They hold the job, whose future holds the error: the whole request would stay in memory until
    cycles are collected, which a service that makes few objects hardly ever does.
    """
    if isinstance(error, HTTPException):
        return HTTPException(error.status_code, error.detail, error.headers)
    return error


def _too_late() -> HTTPException:
    return HTTPException(504, "the deadline passed before the volumes had their turn")
