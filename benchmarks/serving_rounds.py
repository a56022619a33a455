"""A round: every server in every cell, and what is bare where the service is saturated."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import numpy as np
from serving_servers import CLASSIFY, DISCARD, JSON, Asked, Bare, awake
from serving_turns import BARE, FLAT_OUT, PACED, Cell, Turn, ask, turn

from tomodistill.inference.classifier import Classifier
from tomodistill.inference.engines import Array

_DISTINCT, _LARGE = 4, 8  # bodies that take turns; volumes above which JSON, 40 MB, has one alone
_MINUTE_LONG = 64  # volumes under way at a time, above which JSON takes so long


class Questions:
    """Volumes for requests, and what the Classifier says of them."""

    def __init__(self, classifier: Classifier, batches: Sequence[int]) -> None:
        rng, box = np.random.default_rng(0), classifier.manifest.box
        shape = (_DISTINCT, max(batches), box, box, box)
        self._volumes = rng.standard_normal(shape, dtype=np.float32)
        self._expected = [classifier.decide(of).probabilities for of in self._volumes]

    def of(self, batch: int, name: str) -> tuple[list[Array], list[Array]]:
        """Batches (n, d, d, d), and their probabilities (n, classes)."""
        few = 1 if name == JSON and batch > _LARGE else _DISTINCT  # 40 MB each
        return (
            [volumes[:batch] for volumes in self._volumes[:few]],
            [probabilities[:batch] for probabilities in self._expected[:few]],
        )


class Rounds:
    """Every server in every cell, and at saturation what is bare."""

    def __init__(
        self,
        servers: Sequence[Asked],
        bare: Mapping[str, Bare],
        questions: Questions,
        cells: Sequence[Cell],
        seconds: float,
    ) -> None:
        self._servers, self._bare, self._questions = servers, bare, questions
        self._cells, self._seconds = cells, seconds

    def turns(self, number: int) -> Iterator[Turn]:
        """Of one round; MLflow's longest, a minute each, in the first alone."""
        for cell in self._cells:
            for of in self._servers:
                if of.name == JSON and number and cell.clients * cell.batch > _MINUTE_LONG:
                    continue
                yield (measured := self._turn(number, of, cell))
                if of.name == CLASSIFY and cell == max(self._cells):
                    yield from self._beside(number, cell, measured.rate)

    def _turn(self, number: int, of: Asked, cell: Cell) -> Turn:
        batches, expected = self._questions.of(cell.batch, of.name)
        requests = of.protocol.requests(batches)
        with awake(of.server):
            answered = ask(of.server.port, requests, cell, seconds=self._seconds_of(cell))
        if of.name != DISCARD:
            of.protocol.check(answered[0], expected)
        return turn(number, of.name, cell, answered)

    def _beside(self, number: int, cell: Cell, reached: float) -> Iterator[Turn]:
        """What is bare, beside clients of the server that discards."""
        of, seconds = self._servers[-1], self._seconds_of(cell)
        requests = of.protocol.requests(self._questions.of(cell.batch, of.name)[0])
        paced = cell.clients * cell.batch / reached  # seconds between two requests of a client
        paces = {FLAT_OUT: 0.0, PACED: paced}
        for (what, loop), (pace, interval) in product(self._bare.items(), paces.items()):
            with awake(of.server), loop.counted() as rate:
                answered = ask(of.server.port, requests, cell, seconds=seconds, interval=interval)
            yield turn(number, f"{DISCARD}, {what} {pace}", cell, answered)
            yield Turn(number, BARE.format(what=what, pace=pace), *cell, rate=rate[0])

    def _seconds_of(self, cell: Cell) -> float:
        """Of a turn: twice as many at saturation, where there are fewest answers."""
        return self._seconds * (2 if cell == max(self._cells) else 1)
