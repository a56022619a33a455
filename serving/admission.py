"""How many volumes may be inside at a time; all others are refused before they are read."""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from fastapi import HTTPException

from serving.metrics import Metrics

_LONGEST_WAIT = 60  # seconds, that a client is told


class Ticket:
    """One request's place; what it was thought to hold is corrected once it is known."""

    def __init__(self, room: "Room") -> None:
        self._room, self._volumes = room, 0
        self._left = False

    def hold(self, volumes: int) -> None:
        """It holds so many, unless it has left: threads may say so too late.

        Raises HTTPException 429 for more than there is room for, unless it is alone.
        """
        with self._room.lock:
            if not self._left:
                self._room.exchange(self._volumes, volumes)
                self._volumes = volumes

    def leave(self) -> None:
        """It is answered, or given up."""
        with self._room.lock:
            self._room.exchange(self._volumes, 0)
            self._left = True


class Room:
    """Bounded in volumes."""

    def __init__(
        self, volumes: int, metrics: Metrics, *, seconds: float, rate: Callable[[], float]
    ) -> None:
        """Of `volumes`, or as many as are computed in so many `seconds`, if these are fewer.

        `rate`: volumes a second that are computed of late, 0 if none were.
        """
        self.inside = 0  # volumes
        self.lock = threading.Lock()  # what a request holds is known in the thread that reads it
        self._volumes, self._seconds = volumes, seconds
        self._metrics, self._rate = metrics, rate

    @contextmanager
    def entered(self, volumes: int) -> Iterator[Ticket]:
        """A place for `volumes` for as long as the block lasts; see `Ticket.hold`."""
        ticket = Ticket(self)
        ticket.hold(volumes)
        try:
            yield ticket
        finally:
            ticket.leave()

    def exchange(self, before: int, after: int) -> None:
        """One request holds `after` instead of `before`; the lock is held."""
        others = self.inside - before
        if after > before and others and others + after > self._bound:
            raise self._full()
        self.inside = others + after
        self._metrics.inside.set(self.inside)

    @property
    def _bound(self) -> float:
        """Volumes; whoever comes later than these would wait in vain."""
        return min(self._volumes, self._rate() * self._seconds or np.inf)

    def _full(self) -> HTTPException:
        seconds = math.ceil(self.inside / self._rate()) if self._rate() else 1
        return HTTPException(
            429,
            f"expected room for more volumes; found {self.inside} of {self._bound:.0f} inside. "
            "Try again later.",
            headers={"Retry-After": f"{min(max(seconds, 1), _LONGEST_WAIT)}"},
        )
