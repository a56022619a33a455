"""What a report needs of any number of particles, gathered shard by shard in little memory.

Class numbers count from 1; the order in which particles come makes no difference.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tomodistill.particles.lists import Names

BINS = 50  # of a probability from 0 to 1
SCORE_BINS = 512  # of a score, of which nobody knows how far it goes
KEPT = 200  # particles of each class that stand for all of it
_SALT = np.uint64(0x9E3779B97F4A7C15)  # without it, row 0 would always be kept

Numbers = NDArray[np.int64]


class Confidences:
    """Histograms of probabilities and scores for each of so many classes."""

    def __init__(self, classes: int) -> None:
        self.probabilities: Numbers = np.zeros((classes, BINS), np.int64)
        self.scores: Numbers = np.zeros((classes, SCORE_BINS), np.int64)
        self.reach = 1.0  # scores are binned from -reach to reach
        self._sums = np.zeros(classes)

    def add(
        self,
        numbers: Numbers,
        probabilities: NDArray[np.floating],
        scores: NDArray[np.float64] | None,
    ) -> None:
        """Count m more: class numbers (m,), probabilities of these classes (m,), scores (m,)."""
        bins = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)
        np.add.at(self.probabilities, (numbers - 1, bins), 1)
        np.add.at(self._sums, numbers - 1, probabilities)
        if scores is not None:
            scored = np.isfinite(scores)
            self._add_scores(numbers[scored], scores[scored])

    @property
    def counts(self) -> Numbers:
        """(classes,) how many particles."""
        return np.asarray(self.probabilities.sum(axis=1))

    @property
    def mean_probabilities(self) -> NDArray[np.float64]:
        """(classes,) 0 where there is no particle."""
        return np.asarray(self._sums / np.maximum(self.counts, 1))

    @property
    def score_edges(self) -> NDArray[np.float64]:
        """(SCORE_BINS + 1,)."""
        return np.linspace(-self.reach, self.reach, SCORE_BINS + 1)

    def _add_scores(self, numbers: Numbers, scores: NDArray[np.float64]) -> None:
        while np.abs(scores).max(initial=0) >= self.reach:
            self._widen()
        bins = ((scores / self.reach + 1) * (SCORE_BINS // 2)).astype(np.int64)
        np.add.at(self.scores, (numbers - 1, bins), 1)

    def _widen(self) -> None:
        """Twice as far with as many bins: neighbours become one, so that none is cut."""
        pairs = self.scores.reshape(len(self.scores), -1, 2).sum(axis=2)
        self.scores[:] = 0
        self.scores[:, SCORE_BINS // 4 : -SCORE_BINS // 4] = pairs
        self.reach *= 2


class Samples:
    """KEPT rows of each class, chosen at random: those whose hashes are the smallest."""

    def __init__(self, classes: int) -> None:
        self._kept = pd.DataFrame(
            {
                "number": np.empty(0, np.int64),
                "key": np.empty(0, np.uint64),
                "row": np.empty(0, np.int64),
                "probability": np.empty(0, np.float32),
            }
        )
        self._limits = np.full(classes, np.iinfo(np.uint64).max, np.uint64)

    def add(self, rows: Numbers, numbers: Numbers, probabilities: NDArray[np.floating]) -> None:
        """Consider m more: rows (m,) among all particles, class numbers, probabilities."""
        keys = pd.util.hash_array(rows.astype(np.uint64) + _SALT)
        small = keys <= self._limits[numbers - 1]
        more = pd.DataFrame(
            {
                "number": numbers[small],
                "key": keys[small],
                "row": rows[small],
                "probability": probabilities[small].astype(np.float32),
            }
        )
        ordered = pd.concat([self._kept, more]).sort_values(["number", "key"])
        self._kept = ordered.groupby("number").head(KEPT)
        full = self._kept.groupby("number").key.agg(["size", "max"]).query("size == @KEPT")
        self._limits[full.index.to_numpy() - 1] = full["max"].to_numpy()

    def of(self, number: int) -> tuple[Numbers, NDArray[np.float32]]:
        """Rows (k,) of class `number`, the most probable first, and their probabilities (k,)."""
        mine = self._kept[self._kept.number == number]
        ordered = mine.sort_values(["probability", "key"], ascending=[False, True])
        return ordered.row.to_numpy(), ordered.probability.to_numpy()


class Tally:
    """How many of each class every list or tomogram has."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self.counts: dict[str, Numbers] = {}  # name -> (classes,)

    def add(self, names: Names, numbers: Numbers) -> None:
        """Count m more: where each is from (m,), its class number (m,)."""
        for name, counts in _by_name(names, numbers, self._classes):
            self.counts[name] = self.counts.get(name, 0) + counts


def spread(ordered: int, wanted: int) -> Numbers:
    """(at most wanted,) places among `ordered` things, from the first to the last, even steps."""
    return np.unique(np.linspace(0, ordered - 1, min(ordered, wanted)).round().astype(np.int64))


def _by_name(names: Names, numbers: Numbers, classes: int) -> Iterator[tuple[str, Numbers]]:
    codes, found = pd.factorize(names)
    table = np.zeros((len(found), classes), np.int64)
    np.add.at(table, (codes, numbers - 1), 1)
    yield from zip(map(str, found), table, strict=True)
