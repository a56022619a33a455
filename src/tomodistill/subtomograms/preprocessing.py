"""From stored volumes to what networks see: contrast, low-pass, Fourier crop, normalisation.

One function, its parameters part of every model's manifest, so that training, evaluation, service
and bulk classification agree by construction.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tomodistill.errors import InputError

Contrast = Literal["dark", "bright"]  # what the particle is against its surroundings


@dataclass(frozen=True)
class Preprocessing:
    """Parameters of `preprocess`."""

    lowpass: float = 40.0  # Å, where the filter passes half the amplitude; 0 = no filter
    crop: int = 0  # voxels of the edge that a Fourier crop leaves, for all networks; 0 = no crop

    def __post_init__(self) -> None:
        if not 0 <= self.lowpass < np.inf:
            raise InputError(
                expected="a low-pass in Å, 0 for none", found=f"{self.lowpass}", todo="Change it."
            )
        if self.crop < 0:
            raise InputError(
                expected="crop in voxels, 0 for none", found=f"{self.crop}", todo="Change it."
            )

    def edge(self, box: int) -> int:
        """Voxels of what is left of a box. Raises InputError if a crop would be no crop."""
        if self.crop > box:
            raise InputError(
                expected=f"crop of at most the box, {box} voxels",
                found=f"{self.crop}",
                todo="Lower it.",
            )
        return self.crop or box


def preprocess(
    volumes: NDArray[np.float32],
    *,
    voxel_spacing: float,
    contrast: Contrast,
    parameters: Preprocessing,
) -> NDArray[np.float32]:
    """(n, e, e, e) particle-bright volumes of (n, d, d, d), low-passed, of mean 0 and variance 1.

    `voxel_spacing` in Å and `contrast` are those of the given volumes; e is their edge after the
    crop, whose voxels are d / e as wide. Each volume has the same bits in any company.
    """
    box = volumes.shape[-1]
    edge = parameters.edge(box)
    prepared = np.empty((len(volumes), edge, edge, edge), np.float32)
    filtered = parameters.lowpass > 0 or edge < box
    matrix = axis_filter(box, edge, voxel_spacing, parameters.lowpass) if filtered else None
    _prepare(volumes, prepared, matrix)
    return np.negative(prepared, out=prepared) if contrast == "dark" else prepared


def _prepare(
    volumes: NDArray[np.float32], prepared: NDArray[np.float32], matrix: NDArray[np.float32] | None
) -> None:
    """Fill `prepared` (n, e, e, e). Each volume by itself, so that it stays in a core's cache."""
    box, edge = volumes.shape[-1], prepared.shape[-1]
    # Made once: fresh memory of this size costs more than what is computed in it.
    near_zero = np.empty((box, box, box), np.float32)
    y, yx = np.empty((box, edge, box), np.float32), np.empty((box, edge, edge), np.float32)
    for volume, out in zip(volumes, prepared, strict=True):
        # A large offset would drown the particle in rounding. Any typical value will do: the mean
        # goes later.
        np.subtract(volume, volume[box // 2, box // 2, box // 2], out=near_zero)
        if matrix is None:
            out[...] = near_zero
        else:  # slice by slice: in larger products BLAS would wait for threads of its own
            np.matmul(matrix, near_zero, out=y)  # (z, y', x)
            np.matmul(y, matrix.T, out=yx)  # (z, y', x')
            np.matmul(matrix, yx.transpose(1, 0, 2), out=out.transpose(1, 0, 2))  # (y', z', x')
        _normalise(out)


@lru_cache(maxsize=32)
def axis_filter(box: int, edge: int, voxel_spacing: float, lowpass: float) -> NDArray[np.float32]:
    """(e, d) low-pass and Fourier crop along one axis, periodic; `voxel_spacing`, `lowpass` in Å.

    A Gaussian in Fourier space is a product over the axes, and so is a crop to a cube of
    frequencies: three small matrix products do what a transform there and back would. No ringing
    comes of the Gaussian, as it would of a sharp edge. Centre stays at centre, so that half turns
    of the result are those of the volume.
    """
    frequency = np.arange(edge // 2 + 1)
    weight = np.exp2(-np.square(frequency * lowpass / (box * voxel_spacing))) * 2
    weight[0] = 1
    if edge % 2 == 0:  # the last frequency stands for both signs; a crop cannot tell them apart
        weight[-1] = weight[-1] / 2 if edge == box else 0
    position = (np.arange(edge) - (edge - 1) / 2) * box / edge + (box - 1) / 2  # of new voxels
    distance = position[:, None] - np.arange(box)  # (e, d)
    return np.asarray(periodic_waves(distance, weight, box), np.float32)


def periodic_waves(
    distance: NDArray[np.float64], weight: NDArray[np.float64], box: int
) -> NDArray[np.float64]:
    """(...) what one voxel of a periodic box adds at `distance` (...) voxels from it.

    `weight` (f,) of the box's lowest frequencies.
    """
    waves = np.cos(2 * np.pi / box * np.arange(len(weight)) * distance[..., None])
    return np.asarray(waves @ weight / box)


def _normalise(volume: NDArray[np.float32]) -> None:
    """In float64, so that values near 1e12 keep their variance; a constant volume becomes zero."""
    deviation = volume - volume.mean(dtype=np.float64)  # float64
    spread = np.sqrt(np.square(deviation).mean())  # no product: BLAS would wait for threads
    np.divide(deviation, spread or 1.0, out=volume, casting="same_kind")
