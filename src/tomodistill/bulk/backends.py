"""Where shards are computed: a backend takes them and tells what became of each."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tomodistill.subtomograms.files import is_full


@dataclass(frozen=True)
class Outcome:
    """Of one attempt at a shard."""

    shard: int
    fault: str = ""  # why it failed, in a line; "": it stands in the job folder
    full: bool = False  # it failed because a disk is: nothing will succeed
    lost: bool = False  # whoever computed it is gone, perhaps by no fault of the shard
    seconds: Mapping[str, float] = field(default_factory=dict)  # by step: read, prepare, ...


Compute = Callable[[Path, int], Outcome]  # job folder, shard; whatever it raises is a fault


class Backend(Protocol):
    """Computes shards of one job somewhere."""

    def room(self) -> int:
        """How many shards it should have at a time, which may change: a few for each worker."""
        ...

    def submit(self, shard: int) -> None:
        """Take one more shard; does not wait."""
        ...

    def next(self) -> Outcome:
        """The outcome of any shard that was taken; waits for it.

        Raises InputError if none can come any more: the scheduler is gone.
        """
        ...

    def close(self) -> None:
        """Let go of whatever computes, at once; shards under way are given up."""
        ...


class Here:
    """In this process, one shard after the other."""

    def __init__(self, job: Path, compute: Compute) -> None:
        self._job, self._compute = job, compute
        self._waiting: deque[int] = deque()

    def room(self) -> int:
        """One."""
        return 1

    def submit(self, shard: int) -> None:
        """Keep it for `next`."""
        self._waiting.append(shard)

    def next(self) -> Outcome:
        """Compute the shard that waits longest."""
        return attempt(self._compute, self._job, self._waiting.popleft())

    def close(self) -> None:
        """Nothing is held."""


def attempt(compute: Compute, job: Path, shard: int) -> Outcome:
    """The outcome of `compute`, whatever it raises: one shard must not end the others."""
    try:
        return compute(job, shard)
    except Exception as error:
        fault = f"{type(error).__name__}: {error}"
        return Outcome(shard, fault=fault, full=is_full(error))
