"""Worker processes that share one maker of items."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.pool import Pool
from multiprocessing.resource_tracker import ensure_running
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

T = TypeVar("T")
R = TypeVar("R")

CHUNK = 16  # items handed to a worker at once
_AHEAD = 4  # chunks for each worker that may be finished and wait: what bounds the memory


def in_order(
    make: Callable[[], Callable[[T], R]], items: Iterable[T], *, workers: int
) -> Iterator[R]:
    """What `make()` makes of the items, in their order; made once in each process.

    Every process calculates with one thread: that is fastest with many processes, and a product's
    last bits may follow the number of threads.
    """
    if workers <= 1:
        with threadpool_limits(1):
            maker = make()
        for item in items:
            with threadpool_limits(1):
                made = maker(item)
            yield made
        return
    with _pool(workers, make) as pool:
        yield from _bounded(pool, items, most=workers * _AHEAD)


def _bounded(pool: Pool, items: Iterable[T], *, most: int) -> Iterator[R]:
    """As `imap`, but hands out no more than `most` chunks before the first of them is taken."""
    waiting: list[Any] = []
    for chunk in _chunks(items):
        waiting.append(pool.apply_async(_make_chunk, (chunk,)))
        if len(waiting) >= most:
            yield from waiting.pop(0).get()
    while waiting:
        yield from waiting.pop(0).get()


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    chunk: list[T] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


@contextmanager
def _pool(workers: int, make: Callable[[], Callable[[Any], Any]]) -> Iterator[Pool]:
    """Worker processes that Ctrl-C never reaches: this process hears it, and ends them."""
    ensure_running()  # would let signals through again when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # workers inherit it
    context = multiprocessing.get_context("spawn")  # safe beside threads, TensorFlow's too
    try:
        with context.Pool(workers, _start_worker, (make,)) as pool:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            yield pool
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_maker: Callable[[Any], Any]  # of this worker process, set once when it starts


def _start_worker(make: Callable[[], Callable[[Any], Any]]) -> None:
    global _maker
    threadpool_limits(1)
    _maker = make()


def _make_chunk(chunk: list[Any]) -> list[Any]:
    return [_maker(item) for item in chunk]
