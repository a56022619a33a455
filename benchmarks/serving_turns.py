"""A turn: clients in a closed loop ask one server for a few seconds; what came of it."""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from inference_turns import quartiles
from serving_http import Answer, closed_loop, run

from tomodistill.evaluation.table import Interval

BARE, FLAT_OUT, PACED = "bare {what}, {pace}", "flat out", "at our pace"  # names of "servers"


class Cell(NamedTuple):
    """How hard one asks."""

    clients: int
    batch: int  # volumes in a request


@dataclass(frozen=True)
class Turn:
    """One server's, in one round."""

    round: int
    server: str
    clients: int
    batch: int
    rate: float  # volumes a second
    p50: float | None = None  # seconds from request to answer
    p99: float | None = None
    answers: int = 0
    failed: int = 0  # without an answer, or with another status than 200
    load: float = 0.0  # cores that the clients took

    @property
    def cell(self) -> Cell:
        """How hard was asked."""
        return Cell(self.clients, self.batch)

    def line(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self)) + "\n"


def ask(
    port: int, requests: Sequence[bytes], cell: Cell, *, seconds: float, interval: float = 0.0
) -> tuple[list[Answer], float]:
    """Answers to that many clients, and the cores that asking took."""
    start, used = time.perf_counter(), time.process_time()
    answers = run(
        closed_loop(port, requests, clients=cell.clients, seconds=seconds, interval=interval)
    )
    return answers, (time.process_time() - used) / (time.perf_counter() - start)


def turn(number: int, server: str, cell: Cell, answered: tuple[Sequence[Answer], float]) -> Turn:
    """Rate and latency of what was asked."""
    answers, load = answered
    good = [answer for answer in answers if answer.status == 200]
    taken = [answer.seconds for answer in good] or [np.nan]
    return Turn(
        number,
        server,
        *cell,
        rate=cell.batch * rate(good),
        p50=median(taken),
        p99=float(np.percentile(taken, 99)),
        answers=len(good),
        failed=len(answers) - len(good),
        load=load,
    )


def rate(answers: Sequence[Answer]) -> float:
    """Requests a second, from the first one sent to the last one answered.

    Whoever was still under way at the end of a turn is waited for, and so is neither lost nor
    counted for less: it matters where one answer takes longer than the turn.
    """
    if not answers:
        return 0.0
    start = min(answer.started for answer in answers)
    return len(answers) / (max(answer.finished for answer in answers) - start)


def read_turns(path: Path) -> list[Turn]:
    """A last line that was cut short is left out."""
    lines = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [Turn(**json.loads(line)) for line in lines]


class Turns:
    """Medians and quartiles over rounds; ratios are formed within a round."""

    def __init__(self, turns: Iterable[Turn]) -> None:
        self._of: dict[tuple[str, Cell], dict[int, Turn]] = {}
        for of in turns:
            self._of.setdefault((of.server, of.cell), {})[of.round] = of
        self.servers = list(dict.fromkeys(server for server, _ in self._of))
        self.cells = sorted({cell for _, cell in self._of})

    def of(self, server: str, cell: Cell) -> list[Turn]:
        """Of every round; none if it had no turn there."""
        return list(self._of.get((server, cell), {}).values())

    def rate(self, server: str, cell: Cell) -> Interval | None:
        """Volumes a second."""
        turns = self.of(server, cell)
        return quartiles([turn.rate for turn in turns]) if turns else None

    def ratio(self, server: str, others: Sequence[str], cell: Cell) -> Interval | None:
        """How many times the rate of the best of the others."""
        beside = [self._of.get((other, cell), {}) for other in others]
        ratios = [
            turn.rate / best
            for number, turn in self._of.get((server, cell), {}).items()
            if (best := max((of[number].rate for of in beside if number in of), default=0.0))
        ]
        return quartiles(ratios) if ratios else None
