"""How far a job is: a bar in a terminal, a line now and then in a log."""

import sys
import time
from collections import Counter
from typing import TextIO

from tqdm import tqdm

from tomodistill.bulk.backends import Outcome

SECONDS = 30.0  # between two lines of a log


class Progress:
    """Counts particles of `total`, of which `done` stood before."""

    def __init__(self, total: int, done: int, stream: TextIO = sys.stderr) -> None:
        self._total, self._before, self._done, self._stream = total, done, done, stream
        self._began = self._told = time.monotonic()
        self.by_step = Counter[str]()  # seconds of all workers
        shown = stream.isatty()
        words = {"desc": "classifying", "unit": " particles", "initial": done}
        self._bar = tqdm(total=total, file=stream, disable=not shown, smoothing=0, **words)

    def count(self, particles: int, outcome: Outcome) -> None:
        """One more shard of so many particles."""
        self._done += particles
        self.by_step.update(outcome.seconds)
        self._bar.update(particles)
        if self._bar.disable and time.monotonic() - self._told > SECONDS:
            self._told = time.monotonic()
            print(self.line(), file=self._stream, flush=True)

    @property
    def counted(self) -> int:
        """Particles since this began."""
        return self._done - self._before

    @property
    def elapsed(self) -> float:
        """Seconds since this began."""
        return time.monotonic() - self._began

    @property
    def rate(self) -> float:
        """Particles a second since this began."""
        return self.counted / max(self.elapsed, 1e-9)

    def line(self) -> str:
        """Of a log."""
        left = (self._total - self._done) / self.rate if self.counted else 0.0
        share = self._done / self._total
        return (
            f"classified {self._done:,} of {self._total:,} particles ({share:.0%}), "
            f"{self.rate:,.0f} a second, {_time(left)} left"
        )

    def close(self) -> None:
        """End the bar's line."""
        self._bar.close()


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
