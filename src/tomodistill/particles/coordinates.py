"""From the positions that a list states to voxels of a tomogram."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tomodistill.errors import InputError
from tomodistill.particles.lists import Positions

# Where RELION 5 counts from: size / 2 (loadTomogram in its tomogram_set.cpp, by which it picks and
# extracts). The other is for lists of programs that took size / 2 - 1.
Centre = Literal["half", "half_minus_one"]


@dataclass(frozen=True)
class Coordinates:
    """How the positions of a list are to be read, where the list leaves it open."""

    coordinate_spacing: float = 0.0  # Å of the voxels it counts in; 0 = as the list says
    centre: Centre = "half"  # of a tomogram, from which RELION 5 counts: size / 2, or one less
    origins: bool = True  # take off the shifts that a refinement found

    def __post_init__(self) -> None:
        if not 0 <= self.coordinate_spacing < np.inf:
            raise InputError(
                expected="coordinate_spacing: Å per voxel, or 0 for what the list says",
                found=f"{self.coordinate_spacing}",
                todo="Change coordinate_spacing.",
            )
        if self.centre not in get_args(Centre):
            raise InputError(
                expected=f"centre: {' or '.join(get_args(Centre))}",
                found=repr(self.centre),
                todo="Change centre.",
            )


def voxels(
    positions: Positions,
    rows: NDArray[np.integer] | slice,
    *,
    shape: tuple[int, int, int],
    voxel_spacing: float,
    options: Coordinates,
) -> NDArray[np.float64]:
    """(m, 3) z, y, x of some particles in voxels of a tomogram; 0 is the centre of its first.

    `shape` in voxels and `voxel_spacing` in Å of that tomogram, NaN if nothing states it. A list
    that does not say in which voxels it counts is taken to count in those. Raises InputError where
    the voxel spacing is needed and not stated.
    """
    given = options.coordinate_spacing
    spacing, offset_spacing = positions.spacing[rows], positions.offset_spacing[rows]
    if given and not positions.in_angstrom:
        spacing = np.full_like(spacing, given)
    if np.isnan(voxel_spacing):
        _check_unstated(spacing, offset_spacing)
        voxel_spacing = 1.0  # whatever it is, both count in it
    spacing = np.where(np.isnan(spacing), voxel_spacing, spacing)
    places = positions.values[rows] * spacing[:, np.newaxis]  # Å
    if options.origins:
        offset_spacing = np.where(np.isnan(offset_spacing), spacing, offset_spacing)
        places -= positions.offsets[rows] * offset_spacing[:, np.newaxis]
    return places / voxel_spacing + _zero(positions, shape, options)


def _check_unstated(*spacings: NDArray[np.float64]) -> None:
    if not all(np.isnan(spacing).all() for spacing in spacings):
        raise InputError(
            expected="a tomogram that states its voxel spacing, since the list counts in Å or in "
            "voxels whose width it states",
            found="none in its header",
            todo="Give voxel_spacing= in Å.",
        )


def _zero(
    positions: Positions, shape: tuple[int, int, int], options: Coordinates
) -> NDArray[np.float64]:
    """(3,) voxel from which positions count."""
    if positions.origin == "corner":
        return np.zeros(3)
    return np.asarray(shape) / 2 - (options.centre == "half_minus_one")
