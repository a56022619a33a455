"""A classifier, or its engine alone, in a loop: what no server on this machine can beat.

    python serving_bare.py VERSION classifier|engine

Every line on standard input is answered by how many volumes were done, and when: seconds of
`time.monotonic`, which processes share.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import numpy as np

from tomodistill.inference.classifier import Classifier

CLASSIFIER, ENGINE = "classifier", "engine"
BATCH, DISTINCT = 64, 4  # volumes at a time; batches that take turns: no cache holds them


class Loop:
    """Counts."""

    def __init__(self) -> None:
        self._done = 0, time.monotonic()  # volumes, when: replaced at once

    def run(self, calls: list[Callable[[], object]]) -> None:
        """For ever."""
        volumes = 0
        while True:
            for call in calls:
                call()
                volumes += BATCH
                self._done = volumes, time.monotonic()

    def tell(self) -> None:
        """Whoever asks."""
        for _ in sys.stdin:
            print(*self._done, flush=True)


def calls(classifier: Classifier, what: str) -> list[Callable[[], object]]:
    """Each handles one batch in memory."""
    rng, box = np.random.default_rng(0), classifier.manifest.box
    shape = (BATCH, box, box, box)
    batches = [rng.standard_normal(shape, dtype=np.float32) for _ in range(DISTINCT)]
    if what == CLASSIFIER:
        return [lambda given=given: classifier.decide(given) for given in batches]
    seen = [classifier.prepare(given).volumes for given in batches]
    return [lambda given=given: classifier.engine.logits(given) for given in seen]


if __name__ == "__main__":
    loop = Loop()
    of = calls(Classifier.load(Path(sys.argv[1])), sys.argv[2])
    Thread(target=loop.tell, daemon=True).start()
    loop.run(of)
