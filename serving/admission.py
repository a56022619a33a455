"""How many volumes may be inside at a time; all others are refused before they are read."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastapi import HTTPException

from serving.metrics import Metrics

_LONGEST_WAIT = 60  # seconds, that a client is told


class Ticket:
    """One request's place; what it was thought to hold is corrected once it is known."""

    def __init__(self, room: "Room", volumes: int) -> None:
        self._room, self._volumes = room, volumes

    def hold(self, volumes: int) -> None:
        """It holds so many."""
        self._room.add(volumes - self._volumes)
        self._volumes = volumes

    def leave(self) -> None:
        """It is answered, or given up."""
        self.hold(0)


class Room:
    """Bounded in volumes; touched by the event loop alone, so nothing is locked."""

    def __init__(self, volumes: int, metrics: Metrics, *, rate: Callable[[], float]) -> None:
        """`rate`: volumes a second that are computed of late, 0 if none were."""
        self.inside = 0  # volumes
        self._volumes, self._metrics, self._rate = volumes, metrics, rate

    @contextmanager
    def entered(self, volumes: int) -> Iterator[Ticket]:
        """A place for `volumes`, at least for as long as the block lasts.

        One request alone may be larger than the room. Raises HTTPException 429 if it is full.
        """
        if self.inside and self.inside + volumes > self._volumes:
            raise self._full()
        ticket = Ticket(self, 0)
        ticket.hold(volumes)
        try:
            yield ticket
        finally:
            ticket.leave()

    def add(self, volumes: int) -> None:
        """So many more, or fewer, are inside."""
        self.inside += volumes
        self._metrics.inside.set(self.inside)

    def _full(self) -> HTTPException:
        self._metrics.rejected.labels("full").inc()
        seconds = math.ceil(self.inside / self._rate()) if self._rate() else 1
        return HTTPException(
            429,
            f"expected room for more volumes; found {self.inside} of {self._volumes} waiting. "
            "Try again later.",
            headers={"Retry-After": f"{min(max(seconds, 1), _LONGEST_WAIT)}"},
        )
