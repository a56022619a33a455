"""Cases that take turns in one process, each timed beside a reference that is never old.

The speed of a shared machine swings by a factor of four within minutes; the ratio of two turns that
follow each other does not. So everything is kept relative to the reference, and ratios of two cases
are formed within a round.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import numpy as np

from tomodistill.evaluation.table import Interval

TURN = 0.05  # seconds at least, of as many calls as that takes
FRESH = 3.0  # seconds after which the reference is timed again


class Key(NamedTuple):
    """What was timed."""

    network: str
    engine: str
    precision: str
    batch: int
    measure: str  # "engine", "end to end", "preprocessing", "product", "copy"


@dataclass(frozen=True)
class Case:
    """A call that handles one batch."""

    key: Key
    call: Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """One turn of one case."""

    round: int
    key: Key
    seconds: float  # per item of the batch
    reference: float  # likewise, of the reference's turn before this one

    def line(self) -> str:
        """As JSON."""
        return json.dumps({**asdict(self), "key": self.key._asdict()}) + "\n"


def read_timings(path: Path) -> list[Timing]:
    """A last line that was cut short is left out."""
    lines = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [Timing(**{**read, "key": Key(**read["key"])}) for read in map(json.loads, lines)]


def take_turns(
    cases: Sequence[Case], reference: Case, *, rounds: int, deadline: float
) -> Iterator[Timing]:
    """Every case once in each of `rounds`, every second one backwards.

    No round begins that would likely end after `deadline`, in seconds of `time.monotonic`, but the
    first.
    """
    timed, beside, longest = -np.inf, 0.0, 0.0
    for number in range(rounds):
        start = time.monotonic()
        if number and start + longest > deadline:
            return
        for case in cases if number % 2 == 0 else reversed(cases):
            if time.monotonic() - timed > FRESH:
                beside, timed = seconds_of(reference), time.monotonic()
            yield Timing(number, case.key, seconds_of(case), beside)
        longest = max(longest, time.monotonic() - start)


def seconds_of(case: Case) -> float:
    """Per item, over calls for at least TURN; the first of several only wakes the threads."""
    times: list[float] = []
    while sum(times) < TURN:
        start = time.perf_counter()
        case.call()
        times.append(time.perf_counter() - start)
    return mean(times[1:] or times) / case.key.batch


class Rounds:
    """What was timed so far, as medians and quartiles over rounds."""

    def __init__(self, timings: Sequence[Timing]) -> None:
        self.keys = list(dict.fromkeys(of.key for of in timings))
        self.count = len({of.round for of in timings})
        self._of: dict[Key, dict[int, Timing]] = {key: {} for key in self.keys}
        for of in timings:
            self._of[of.key][of.round] = of

    def rate(self, key: Key) -> Interval:
        """Items per second."""
        return quartiles([1 / of.seconds for of in self._of[key].values()])

    def ratio(self, key: Key, base: Key) -> Interval:
        """How many times the base's rate, both relative to the reference beside them."""
        first, second = self._of[key], self._of[base]
        return quartiles(
            [
                _relative(first[number]) / _relative(second[number])
                for number in first
                if number in second
            ]
        )

    def fastest(self, keys: Sequence[Key], items: Callable[[Key], float] = lambda key: 1.0) -> Key:
        """The key of the highest median rate relative to the reference, in what `items` counts."""

        def speed(key: Key) -> float:
            return items(key) * float(np.median([_relative(of) for of in self._of[key].values()]))

        return max(keys, key=speed)


def _relative(of: Timing) -> float:
    return of.reference / of.seconds


def quartiles(values: Sequence[float]) -> Interval:
    """Median and quartiles."""
    low, middle, high = np.percentile(values, (25, 50, 75))
    return Interval(float(middle), float(low), float(high))
