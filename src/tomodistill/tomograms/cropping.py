"""Boxes around particles, read from a tomogram slice by slice: never more than what is needed."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tomodistill.subtomograms.preprocessing import periodic_waves
from tomodistill.subtomograms.spacing import spanning_edge
from tomodistill.tomograms.volume_file import Lazy

Border = Literal["pad", "drop"]
_FAR = 2.0**40  # voxels; no tomogram reaches there


@dataclass(frozen=True)
class Cropping:
    """Options of `crop`."""

    border: Border = "pad"  # for a box that reaches outside: fill it with its mean, or leave it out
    subvoxel: bool = False  # move the particle to the centre of its voxel, in Fourier space
    mirrored: bool = False  # the tomogram has the other handedness: flip boxes along z


@dataclass(frozen=True)
class Crops:
    """The boxes around m particles."""

    volumes: NDArray[np.float32]  # (m, d, d, d)
    outside: NDArray[np.float64]  # (m,) share of their voxels outside the tomogram
    taken: NDArray[np.bool_]  # (m,) whether there is a box: zeros where it was left out


def edge_spanning(box: int, *, model_spacing: float, tomogram_spacing: float) -> int:
    """Voxels of a crop's edge that span the model's box, of spacings in Å.

    Raises InputError for a tomogram whose voxels are coarser than the model's.
    """
    return round(spanning_edge(box, box_spacing=model_spacing, voxel_spacing=tomogram_spacing))


def crop(array: Lazy, centres: NDArray[np.float64], *, edge: int, options: Cropping) -> Crops:
    """Boxes of a tomogram (z, y, x) about `centres` (m, 3): z, y, x in voxels, whole numbers at
    the middle of a voxel.

    That voxel comes to index edge // 2 of its box, as in the simulator and in RELION. Halves are
    rounded up. What lies outside has the mean of the rest; a box that is wholly outside, or about
    a centre that is no number, is never taken.
    """
    centres = np.nan_to_num(centres, nan=-_FAR).clip(-_FAR, _FAR)
    nearest = np.floor(centres + 0.5).astype(np.int64)
    starts = nearest - edge // 2
    if options.mirrored:  # that voxel comes to edge // 2 from the other end
        starts[:, 0] += 1 - edge % 2
    outside = _outside(starts, edge, array.shape)
    taken = outside < 1 if options.border == "pad" else outside == 0
    volumes = np.zeros((len(centres), edge, edge, edge), np.float32)
    for row in np.flatnonzero(taken):
        box = volumes[row, ::-1] if options.mirrored else volumes[row]
        _read(array, starts[row].tolist(), box)
        if options.subvoxel:
            _move(box, centres[row] - nearest[row])
    return Crops(volumes, outside, taken)


def _outside(starts: NDArray[np.int64], edge: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """(m,) share of the voxels of boxes from `starts` (m, 3) on."""
    inside = np.minimum(starts + edge, shape) - np.maximum(starts, 0)
    return np.asarray(1 - inside.clip(0).prod(axis=1) / edge**3)


def _read(array: Lazy, start: list[int], box: NDArray[np.float32]) -> None:
    """Fill `box` (d, d, d) with what lies from `start` on, and the rest with the mean of that."""
    ends = [low + len(box) for low in start]
    lows = [max(low, 0) for low in start]
    highs = [min(end, side) for end, side in zip(ends, array.shape, strict=True)]
    part = array[tuple(map(slice, lows, highs))]
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite: callers look
        if part.shape == box.shape:
            box[...] = part
        else:
            box[...] = part.mean(dtype=np.float64)
            inside = (slice(a - b, c - b) for a, b, c in zip(lows, start, highs, strict=True))
            box[tuple(inside)] = part


def _move(box: NDArray[np.float32], by: NDArray[np.float64]) -> None:
    """Bring what lies at `by` (3,) voxels from a voxel of `box` (d, d, d) onto that voxel."""
    edge = len(box)
    weight = np.full(edge // 2 + 1, 2.0)  # each frequency stands for both signs
    weight[0] = 1
    if edge % 2 == 0:
        weight[-1] = 1
    waves = periodic_waves(by[:, None] + np.arange(edge), weight, edge).astype(np.float32)
    z, y, x = waves[:, _circle(edge)]  # each (d, d)
    yx = y @ box @ x.T  # (z, y', x')
    box[...] = (z @ yx.transpose(1, 0, 2)).transpose(1, 0, 2)


@lru_cache(maxsize=8)
def _circle(edge: int) -> NDArray[np.int64]:
    """(d, d) how far along a periodic axis one voxel is from another."""
    voxels = np.arange(edge)
    return np.asarray((voxels[:, None] - voxels) % edge)
