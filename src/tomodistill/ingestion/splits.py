"""Which items of an experimental set are for training, validation and test.

Particles of one tomogram share its defocus, thickness and neighbours: a test on tomograms that were
trained on flatters. So whole tomograms are drawn where there are enough of them.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomodistill.simulation.plan import SPLITS as SHARES

_DRAWS = 100  # of tomograms, of which the one nearest to the shares is taken
_NAMES = tuple(SHARES)
FEWEST = len(_NAMES)  # items of a class: one in each split


@dataclass(frozen=True)
class Splits:
    """The split of each of n items, and how they were drawn."""

    of_items: NDArray[np.object_]  # (n,) of str
    by_tomogram: bool


def draw_splits(
    *,
    ids: Sequence[str],
    labels: NDArray[np.int64],
    tomograms: Sequence[str],
    seed: int,
) -> Splits:
    """64, 16 and 20 % in train, val and test, each with items of every class.

    (n,) ids, labels (-1: none known; such items are for training) and names of tomograms, "" where
    not known; each class has at least `FEWEST` items. By hashes of their names, whatever the order.
    """
    splits = np.full(len(ids), _NAMES[0], object)
    known = np.flatnonzero(labels >= 0)
    names = np.array(tomograms, object)[known]
    drawn = _by_tomogram(names, labels[known], seed) if all(names) else None
    if drawn is not None:
        splits[known] = drawn
        return Splits(splits, by_tomogram=True)
    for label in np.unique(labels[known]):
        rows = np.flatnonzero(labels == label)
        splits[rows] = _one_by_one([ids[row] for row in rows.tolist()], seed)
    return Splits(splits, by_tomogram=False)


def _one_by_one(ids: Sequence[str], seed: int) -> NDArray[np.object_]:
    """(n,) splits of the items of one class."""
    counts = {name: max(1, round(share * len(ids))) for name, share in SHARES.items()}
    counts[_NAMES[0]] = len(ids) - sum(counts[name] for name in _NAMES[1:])
    splits = np.empty(len(ids), object)
    order = sorted(range(len(ids)), key=lambda row: _hash(seed, ids[row]))
    splits[order] = np.repeat(np.array(_NAMES, object), list(counts.values()))
    return splits


def _by_tomogram(
    names: NDArray[np.object_], labels: NDArray[np.int64], seed: int
) -> NDArray[np.object_] | None:
    """(n,) splits; None where no draw puts each class into each split."""
    tomograms, of_item = np.unique(names.astype(str), return_inverse=True)
    if len(tomograms) < len(_NAMES):
        return None
    counts = np.zeros((len(tomograms), labels.max(initial=0) + 1))
    np.add.at(counts, (of_item, labels), 1)
    draws = [_draw(tomograms.tolist(), counts, f"{seed}/{draw}") for draw in range(_DRAWS)]
    best = min(draws, key=lambda draw: _distance(draw, counts))
    return np.array(_NAMES, object)[best][of_item] if np.isfinite(_distance(best, counts)) else None


def _draw(tomograms: list[str], counts: NDArray[np.float64], seed: str) -> NDArray[np.int64]:
    """(t,) split of each tomogram: each goes where most is missing, and no split stays empty."""
    wanted = np.array(list(SHARES.values())) * counts.sum()
    found, splits = np.zeros(len(_NAMES)), np.empty(len(tomograms), np.int64)
    order = sorted(range(len(tomograms)), key=lambda row: _hash(seed, tomograms[row]))
    for place, row in enumerate(order):
        missing = (wanted - found) / wanted
        empty = found == 0
        if empty.sum() >= len(order) - place:
            missing[~empty] = -np.inf
        splits[row] = np.argmax(missing)
        found[splits[row]] += counts[row].sum()
    return splits


def _distance(splits: NDArray[np.int64], counts: NDArray[np.float64]) -> float:
    """How far the classes' shares are from those wanted; infinite where one has none in a split."""
    found = np.stack([counts[splits == split].sum(axis=0) for split in range(len(_NAMES))])
    present = found[:, counts.sum(axis=0) > 0]
    shares = present / present.sum(axis=0)
    wanted = np.array(list(SHARES.values()))[:, None]
    return float(np.abs(shares - wanted).max()) if present.all() else np.inf


def _hash(seed: object, name: str) -> bytes:
    return hashlib.sha256(f"{seed}|{name}".encode()).digest()
