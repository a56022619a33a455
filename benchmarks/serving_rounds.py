"""A round: every server in every cell, and what is bare where the service is saturated."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import numpy as np
from serving_servers import CLASSIFY, DISCARD, JSON, Asked, Bare, awake
from serving_turns import BARE, FLAT_OUT, PACED, Cell, Turn, ask, turn

from tomodistill.inference.classifier import Classifier
from tomodistill.inference.engines import Array

_DISTINCT, _LARGE = 4, 8  # bodies that take turns; volumes above which JSON, 40 MB, has one alone


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
        """Of one round."""
        for cell in self._cells:
            reached = 0.0
            for of in self._servers:
                yield (measured := self._turn(number, of, cell))
                reached = measured.rate if of.name == CLASSIFY else reached
            if cell == max(self._cells):
                yield from self._beside(number, cell, reached)

    def _turn(self, number: int, of: Asked, cell: Cell) -> Turn:
        batches, expected = self._questions.of(cell.batch, of.name)
        requests = of.protocol.requests(batches)
        with awake(of.server):
            answered = ask(of.server.port, requests, cell, seconds=self._seconds)
        if of.name != DISCARD:
            of.protocol.check(answered[0], expected)
        return turn(number, of.name, cell, answered, seconds=self._seconds)

    def _beside(self, number: int, cell: Cell, reached: float) -> Iterator[Turn]:
        """What is bare, beside clients of the server that discards."""
        of = self._servers[-1]
        requests = of.protocol.requests(self._questions.of(cell.batch, of.name)[0])
        paced = cell.clients * cell.batch / reached  # seconds between two requests of a client
        for (what, loop), (pace, interval) in product(
            self._bare.items(), ((FLAT_OUT, 0.0), (PACED, paced))
        ):
            with awake(of.server), loop.counted() as rate:
                answered = ask(
                    of.server.port, requests, cell, seconds=2 * self._seconds, interval=interval
                )
            discarded = turn(
                number, f"{DISCARD}, {what} {pace}", cell, answered, seconds=self._seconds
            )
            yield discarded
            yield Turn(number, BARE.format(what=what, pace=pace), *cell, rate=rate[0])
