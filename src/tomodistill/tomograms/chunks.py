"""Chunked arrays by whole chunks, so that boxes side by side do not decompress the same one."""

from functools import lru_cache, partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

_KEPT_BYTES = 2**28
_FEWEST = 8  # chunks that meet in a corner


class ByChunks:
    """A chunked array (z, y, x); the chunks that were used last are kept, 256 MiB or eight."""

    def __init__(self, array: Any, chunks: tuple[int, ...]) -> None:
        self.shape, self.dtype = tuple(array.shape), array.dtype
        self._array, self._chunks = array, chunks
        kept = _KEPT_BYTES // (int(np.prod(chunks)) * array.dtype.itemsize)
        self._chunk = lru_cache(max(kept, _FEWEST))(partial(_read, array, chunks))

    def __getitem__(self, key: Any) -> Any:
        """As of the array itself for plain slices; other keys are the array's own matter."""
        slices = key if isinstance(key, tuple) else (key,)
        if len(slices) != len(self.shape) or not all(_plain(each) for each in slices):
            return self._array[key]
        spans = [each.indices(side)[:2] for each, side in zip(slices, self.shape, strict=True)]
        values = np.empty([max(stop - start, 0) for start, stop in spans], self.dtype)
        for at in product(*map(_touched, spans, self._chunks)):
            first = [number * edge for number, edge in zip(at, self._chunks, strict=True)]
            chunk = self._chunk(at)
            overlaps = list(map(_overlap, spans, first, chunk.shape))
            values[tuple(there for there, _ in overlaps)] = chunk[tuple(own for _, own in overlaps)]
        return values


def _read(array: Any, chunks: tuple[int, ...], at: tuple[int, ...]) -> NDArray[Any]:
    places = zip(at, chunks, strict=True)
    return np.asarray(array[tuple(slice(n * edge, (n + 1) * edge) for n, edge in places)])


def _plain(key: Any) -> bool:
    return isinstance(key, slice) and key.step in (None, 1)


def _touched(span: tuple[int, int], edge: int) -> range:
    """Numbers of the chunks along one axis."""
    return range(span[0] // edge, -(-span[1] // edge))


def _overlap(span: tuple[int, int], first: int, length: int) -> tuple[slice, slice]:
    """Where a chunk that begins at `first` lies in the span, and the span in the chunk."""
    start, stop = max(span[0], first), min(span[1], first + length)
    return slice(start - span[0], stop - span[0]), slice(start - first, stop - first)
