"""Worker processes that share one maker of items."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from math import ceil
from threading import Thread
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from tomodistill.errors import InputError
from tomodistill.machine import unheard

T = TypeVar("T")
R = TypeVar("R")

CHUNK = 16  # items handed to a worker at once
_AHEAD = 4  # chunks for each worker that may be finished and wait: what bounds the memory


def in_order(
    make: Callable[[], Callable[[T], R]], items: Iterable[T], *, workers: int
) -> Iterator[R]:
    """What `make()` makes of the items, in their order; made once in each process.

    Every process calculates with one thread: that is fastest with many processes, and a product's
    last bits may follow the number of threads. Raises InputError if a process was killed.
    """
    if workers <= 1:
        yield from _here(make, items)
        return
    try:
        with _processes(workers, make) as executor:
            yield from _bounded(executor, items, most=workers * _AHEAD)
    except BrokenProcessPool as error:
        raise InputError(
            expected="worker processes that live to the end",
            found=f"one of {workers} that could not start, or was killed, perhaps for its memory",
            todo="Make room, or use fewer cores (taskset -c 0,1 ...); the same command goes on.",
        ) from error


def busy(workers: int, items: int) -> int:
    """Of these workers, as many as get a chunk of the items."""
    return min(workers, ceil(items / CHUNK))


def _here(make: Callable[[], Callable[[T], R]], items: Iterable[T]) -> Iterator[R]:
    maker = None
    for item in items:
        with threadpool_limits(1):
            maker = maker or make()
            made = maker(item)
        yield made


def _bounded(executor: ProcessPoolExecutor, items: Iterable[T], *, most: int) -> Iterator[Any]:
    """Hands out no more than `most` chunks before the first of them is taken."""
    rest, waiting = iter(items), deque[Future[list[Any]]]()
    while chunk := list(islice(rest, CHUNK)):
        with unheard():  # each process starts with the first chunk that finds none idle
            waiting.append(executor.submit(_make_chunk, chunk))
        if len(waiting) >= most:
            yield from waiting.popleft().result()
    while waiting:
        yield from waiting.popleft().result()


@contextmanager
def _processes(
    workers: int, make: Callable[[], Callable[[Any], Any]]
) -> Iterator[ProcessPoolExecutor]:
    """Worker processes, none of which is left after the block."""
    context = multiprocessing.get_context("spawn")  # safe beside threads, TensorFlow's too
    executor = ProcessPoolExecutor(workers, context, _start_worker, (make,))
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


_maker: Callable[[Any], Any]  # of this worker process, set once when it starts


def _start_worker(make: Callable[[], Callable[[Any], Any]]) -> None:
    global _maker
    Thread(target=_end_with_parent, daemon=True).start()
    threadpool_limits(1)
    _maker = make()


def _end_with_parent() -> None:
    """A parent that was killed tells no one, and its workers would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _make_chunk(chunk: list[Any]) -> list[Any]:
    return [_maker(item) for item in chunk]
