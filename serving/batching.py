"""Volumes of many requests become batches, computed by one thread for each device.

Nothing waits for company: whatever came while the engine was busy is the next batch. A request of
many volumes takes turns with the others, one that nobody waits for leaves at once, and of a batch
that failed each request is tried by itself.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from serving.loading import Served
from serving.metrics import Metrics
from tomodistill.inference.preparation import Prepared
from tomodistill.machine import stand_behind

Array = NDArray[np.float32]
_CLOSING_SECONDS = 10.0  # for the batch under way
_STUCK_SECONDS = 60.0  # after which a batch is not expected back


class EngineError(Exception):
    """The engine failed on volumes that were sound."""


class Job:
    """The volumes of one request, on their way through the engine."""

    def __init__(self, served: Served, *, deadline: float) -> None:
        self.served = served
        self.deadline = deadline  # seconds of time.monotonic
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[None] = self.loop.create_future()  # done when its logits are
        self.taken, self.computed = 0, 0  # volumes

    def begin(self, prepared: Prepared) -> None:
        """It waits for the engine from now on."""
        self.prepared = prepared
        self.volumes = prepared.volumes  # (n, e, e, e)
        classes = len(self.served.classifier.manifest.class_names)
        self.logits = np.empty((len(self.volumes), classes), np.float32)
        self.queued_at = time.monotonic()


Outcome: TypeAlias = tuple[Job, Exception | None]


@dataclass(frozen=True)
class _Part:
    """Volumes of one job within a batch."""

    job: Job
    start: int
    stop: int

    @property
    def volumes(self) -> Array:
        return self.job.volumes[self.start : self.stop]


class Dispatcher:
    """The queue before one engine at a time, and the thread that empties it."""

    def __init__(
        self, metrics: Metrics, *, on_result: Callable[[Served, Exception | None], None]
    ) -> None:
        """`on_result` hears of every call of an engine, with the error of one that failed."""
        self.rate = 0.0  # volumes a second, of late
        self._metrics, self._on_result = metrics, on_result
        self._jobs: dict[Job, None] = {}  # in turn
        self._work = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._started: float | None = None  # the batch under way; seconds of time.monotonic

    @property
    def alive(self) -> bool:
        """The thread works, or waits for work."""
        if self._thread and not self._thread.is_alive():
            return False
        started = self._started
        return started is None or time.monotonic() - started < _STUCK_SECONDS

    def put(self, job: Job) -> None:
        """It has begun, and waits for its turn.

        Its future raises EngineError, and TimeoutError if the turn comes after its deadline.
        """
        with self._work:
            self._jobs[job] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
                self._thread.start()
            self._work.notify()

    def drop(self, job: Job) -> None:
        """Nobody waits for it any more."""
        with self._work:
            self._jobs.pop(job, None)

    def close(self) -> None:
        """Finish the batch under way, and take no other."""
        with self._work:
            self._closing = True
            self._work.notify()
        if self._thread:
            self._thread.join(_CLOSING_SECONDS)

    def _run(self) -> None:
        stand_behind()
        while parts := self._next_batch():
            started = self._started = time.monotonic()
            finished = self._compute(parts)
            self._started = None
            deliver(finished)
            self._count(sum(part.stop - part.start for part in parts), time.monotonic() - started)
            del parts, finished  # perhaps it is long until the next

    def _next_batch(self) -> list[_Part]:
        """What the engine computes next; nothing when the service stops."""
        with self._work:
            while not self._closing:
                if parts := self._take():
                    return parts
                self._work.wait()
        return []

    def _take(self) -> list[_Part]:
        """Parts of jobs of one version, in turn, as many volumes as its engine takes at a time."""
        parts: list[_Part] = []
        room = 0
        for job in list(self._jobs):
            if job.future.done():  # it was cancelled before it came
                del self._jobs[job]
                continue
            if job.deadline < time.monotonic():
                del self._jobs[job]
                deliver([(job, TimeoutError())])
                continue
            if not parts:
                room = job.served.classifier.engine.batch
            elif job.served is not parts[0].job.served:
                continue
            parts.append(self._part(job, room))
            room -= parts[-1].stop - parts[-1].start
            if not room:
                break
        return parts

    def _part(self, job: Job, room: int) -> _Part:
        if not job.taken:
            self._metrics.stage.labels("queue").observe(time.monotonic() - job.queued_at)
        part = _Part(job, job.taken, min(job.taken + room, len(job.volumes)))
        job.taken = part.stop
        del self._jobs[job]
        if job.taken < len(job.volumes):
            self._jobs[job] = None  # at the end: others have their turn first
        return part

    def _compute(self, parts: list[_Part]) -> list[Outcome]:
        """Jobs that are finished with this batch, with the error of those that failed."""
        served = parts[0].job.served
        try:
            logits = _finite(served.classifier.engine.logits(_joined(parts)))
        except Exception as error:  # whatever an engine raises
            self._metrics.engine_errors.inc()
            self._on_result(served, error)
            if len(parts) > 1:
                return [outcome for part in parts for outcome in self._compute([part])]
            self.drop(parts[0].job)
            return [(parts[0].job, EngineError(f"{type(error).__name__}: {error}"))]
        self._on_result(served, None)
        return _spread(logits, parts)

    def _count(self, volumes: int, seconds: float) -> None:
        self._metrics.batch.observe(volumes)
        self._metrics.stage.labels("compute").observe(seconds)
        now = volumes / max(seconds, 1e-6)
        self.rate = now if not self.rate else 0.9 * self.rate + 0.1 * now


def _joined(parts: list[_Part]) -> Array:
    """(n, e, e, e)."""
    return parts[0].volumes if len(parts) == 1 else np.concatenate([p.volumes for p in parts])


def _finite(logits: Array) -> Array:
    if not np.isfinite(logits).all():
        raise EngineError("logits that are not finite")
    return logits


def _spread(logits: Array, parts: list[_Part]) -> list[Outcome]:
    """Write logits (n, classes) to the jobs they belong to; those that have all of theirs."""
    finished: list[Outcome] = []
    start = 0
    for part in parts:
        count = part.stop - part.start
        part.job.logits[part.start : part.stop] = logits[start : start + count]
        part.job.computed += count
        start += count
        if part.job.computed == len(part.job.volumes):
            finished.append((part.job, None))
    return finished


def deliver(finished: list[Outcome]) -> None:
    """Wake the requests, in the thread of their event loop."""
    for loop in {job.loop for job, _ in finished}:
        try:
            loop.call_soon_threadsafe(_resolve, [f for f in finished if f[0].loop is loop])
        except RuntimeError:  # the loop has ended, and nobody waits there
            continue


def _resolve(finished: list[Outcome]) -> None:
    for job, error in finished:
        if job.future.done():  # cancelled meanwhile
            continue
        if error is None:
            job.future.set_result(None)
        else:
            job.future.set_exception(error)
