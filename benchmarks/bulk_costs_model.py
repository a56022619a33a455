"""What a bulk job takes: bytes that are read, seconds of cores, and what is paid once.

A worker reads ahead while it computes, so that a job is as slow as the slower of the two: storage,
which all workers share, or computing, which they divide. Every number in here comes from outside.
"""

from dataclasses import dataclass
from math import ceil, expm1, log1p
from typing import Protocol


@dataclass(frozen=True)
class Costs:
    """Of a model and a kind of volumes; seconds of one core unless said otherwise."""

    particle: float  # of each: reading from the page cache, preparing, the network, deciding
    shard: float  # of each: results written and synced, the next one asked for
    start: float = 0.0  # wall: of all workers at once, from their start to their first particle
    planning: float = 0.0  # per particle, one process: lists read, places worked out
    merging: float = 0.0  # per particle, one process: verified, lists and tables written


class Source(Protocol):
    """Volumes on disk."""

    @property
    def bytes_each(self) -> float:
        """Bytes that come from storage for one particle."""
        ...


@dataclass(frozen=True)
class Boxes:
    """Cut out before: each is read once, and nothing else."""

    edge: int  # voxels
    itemsize: int = 4  # bytes of a voxel

    @property
    def bytes_each(self) -> float:
        """All of it."""
        return float(self.itemsize * self.edge**3)


@dataclass(frozen=True)
class Tomograms:
    """Mapped into memory: what is touched is read, in windows of the kernel's read-ahead.

    A box is no run of bytes. Its rows lie in as many pages, and pages come with others around them.
    What one particle made the kernel read serves the next, as long as memory holds it.
    """

    shape: tuple[int, int, int]  # z, y, x in voxels
    particles: float  # of each, anywhere
    edge: int  # voxels of a crop
    itemsize: int = 4  # bytes of a voxel
    window: int = 4096  # bytes that are read at a time: a page, or the read-ahead

    @property
    def bytes_of_one(self) -> float:
        """Of a tomogram with one particle: runs of bytes, joined where a window spans the gap."""
        row = self.itemsize * self.shape[2]
        section = row * self.shape[1]
        of_row = self.itemsize * self.edge
        of_section = (self.edge - 1) * row + of_row
        apart = self.edge**2 * self._read(of_row)
        joined = self.edge * self._read(of_section)
        whole = self._read((self.edge - 1) * section + of_section)
        return min(apart, joined, whole, self.bytes_whole)

    @property
    def bytes_whole(self) -> float:
        """Of a tomogram."""
        z, y, x = self.shape
        return float(self.itemsize * z * y * x)

    @property
    def bytes_each(self) -> float:
        """Of one particle among all: what was not read for another one before."""
        missed = log1p(-min(self.bytes_of_one / self.bytes_whole, 1 - 1e-12))
        return -expm1(self.particles * missed) * self.bytes_whole / self.particles

    def _read(self, run: float) -> float:
        """Bytes of the windows that a run of bytes lies in, wherever it begins."""
        return self.window + run - 1


@dataclass(frozen=True)
class Site:
    """Where a job runs."""

    workers: int  # at work at a time
    bandwidth: float  # bytes/s that storage gives to all of them together


@dataclass(frozen=True)
class Times:
    """Wall seconds of a job."""

    computing: float
    storage: float
    once: float  # planning, start and merging, when workers do nothing yet or no more

    @property
    def limit(self) -> str:
        """What makes it slow."""
        return "storage" if self.storage > self.computing else "computing"

    @property
    def total(self) -> float:
        """From the command to its end."""
        return max(self.computing, self.storage) + self.once


def predict(particles: int, source: Source, costs: Costs, site: Site, *, shard: int) -> Times:
    """A job of so many particles, `shard` of them at a time; every worker is as fast."""
    rounds = ceil(ceil(particles / shard) / site.workers)  # the last may leave workers idle
    each = min(shard, particles) * costs.particle + costs.shard
    return Times(
        computing=rounds * each,
        storage=particles * source.bytes_each / site.bandwidth,
        once=costs.start + particles * (costs.planning + costs.merging),
    )
