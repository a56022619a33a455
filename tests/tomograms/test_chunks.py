from typing import Any

import numpy as np
import pytest

from tomodistill.tomograms.chunks import ByChunks

SHAPE, CHUNKS = (7, 9, 10), (3, 4, 4)


class Counting:
    """Counts how often it is read."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.reads = values, 0
        self.shape, self.dtype = values.shape, values.dtype

    def __getitem__(self, key: Any) -> np.ndarray:
        self.reads += 1
        return self.values[key]


@pytest.fixture
def stored() -> Counting:
    return Counting(np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE))


def test_any_box_is_as_in_the_array(stored: Counting, rng: np.random.Generator) -> None:
    array = ByChunks(stored, CHUNKS)
    for _ in range(50):
        ends = [sorted(rng.integers(0, side + 1, 2).tolist()) for side in SHAPE]
        box = tuple(slice(*pair) for pair in ends)
        np.testing.assert_array_equal(array[box], stored.values[box])
    np.testing.assert_array_equal(array[:], stored.values)
    np.testing.assert_array_equal(array[2, 1:, ::2], stored.values[2, 1:, ::2])


def test_a_chunk_is_read_once(stored: Counting) -> None:
    array = ByChunks(stored, CHUNKS)
    for start in (0, 1, 0):
        array[start : start + 2, 0:4, 0:4]
    assert stored.reads == 1
    array[2:4, 3:5, 3:5]
    assert stored.reads == 8
