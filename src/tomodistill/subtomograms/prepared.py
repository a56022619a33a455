"""Preprocessed volumes for training: in memory where they fit, otherwise read as they are needed.

Either way they are the same, bit for bit.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import psutil
from numpy.typing import NDArray

from tomodistill.subtomograms.dataset import SubtomogramSet
from tomodistill.subtomograms.preprocessing import Preprocessing
from tomodistill.subtomograms.row_file import rows_per_block

MEMORY_SHARE = 1 / 3  # of the memory that is free, for volumes; the rest is for networks
_CGROUPS = Path("/sys/fs/cgroup")  # where Linux says what a container or a batch job may use
_OWN_CGROUP = Path("/proc/self/cgroup")


class Volumes(Protocol):
    """(n, d, d, d) volumes as networks see them: an array, or `PreparedVolumes`."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[np.float32]:
        """(m, d, d, d) float32, those at the positions `rows` (m,)."""
        ...


class PreparedVolumes:
    """(n, d, d, d) volumes at some positions of some sets, one set after the other.

    They stay on disk: each look reads and preprocesses what it asks for, from any thread. The sets
    have one box size.
    """

    def __init__(
        self,
        parts: Sequence[tuple[SubtomogramSet, NDArray[np.int64]]],
        preprocessing: Preprocessing,
    ) -> None:
        self.parts, self.preprocessing = parts, preprocessing
        self.ends = np.cumsum([len(rows) for _, rows in parts])
        edge = preprocessing.edge(parts[0][0].header.box)
        self.shape = (int(self.ends[-1]), edge, edge, edge)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[np.float32]:
        prepared = np.empty((len(rows), *self.shape[1:]), np.float32)
        part = np.searchsorted(self.ends, rows, side="right")
        for index in np.unique(part):
            data, of_part = self.parts[index]
            here = part == index
            first = self.ends[index] - len(of_part)
            prepared[here] = data.preprocessed(of_part[rows[here] - first], self.preprocessing)
        return prepared

    def read(self) -> NDArray[np.float32]:
        """All of them, in memory."""
        volumes = np.empty(self.shape, np.float32)
        step = rows_per_block(4 * self.shape[1] ** 3)
        for start in range(0, len(self), step):
            block = np.arange(start, min(start + step, len(self)))
            volumes[block] = self[block]
        return volumes


def in_memory_if_they_fit(volumes: PreparedVolumes) -> Volumes:
    """An array of all of them if it takes at most a third of the free memory; else as they are."""
    needed = 4 * int(np.prod(volumes.shape, dtype=np.int64))  # bytes of float32
    return volumes.read() if needed <= MEMORY_SHARE * free_memory() else volumes


def free_memory() -> int:
    """Bytes that are free, or what its limit leaves a container or batch job where that is less."""
    return min([int(psutil.virtual_memory().available), *_limits()])


def _limits() -> Iterator[int]:
    """Of the control group of this process and of those around it (Linux's cgroup v2)."""
    own = _OWN_CGROUP.read_text().rpartition("::/")[2].strip() if _OWN_CGROUP.exists() else ""
    for folder in (_CGROUPS / own, *(_CGROUPS / own).parents):
        limit, used = folder / "memory.max", folder / "memory.stat"
        if limit.is_file() and (text := limit.read_text().strip()).isdigit():  # or "max"
            yield max(0, int(text) - _anonymous(used.read_text()))


def _anonymous(statistics: str) -> int:
    """Bytes that cannot be given back, as the file cache can."""
    return int(dict(line.split() for line in statistics.splitlines())["anon"])
