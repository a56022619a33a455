"""Items that are made ahead of their use, by threads."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """`make(index)`, and the next ones meanwhile, as many as there are threads.

    Keras's own workers would start on an epoch before its order is drawn, and keep what they have
    for the next.
    """

    def __init__(self, make: Callable[[int], T], *, threads: int) -> None:
        self._make, self._threads = make, threads
        self._pool = ThreadPoolExecutor(threads)
        self._made: dict[int, Future[T]] = {}
        self._lock = Lock()

    def get(self, index: int, *, count: int) -> T:
        """That of `index`, of `count` that there are."""
        with self._lock:
            for later in range(index, min(index + self._threads + 1, count)):
                if later not in self._made:
                    self._made[later] = self._pool.submit(self._make, later)
            wanted = self._made.pop(index)
        return wanted.result()

    def forget(self) -> None:
        """What was made ahead is not wanted any more."""
        with self._lock:
            for made in self._made.values():
                made.cancel()
            self._made.clear()
