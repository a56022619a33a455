"""The mean of a class: subtomograms turned back by the angles that a particle list gives them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation


def aligned_mean(volumes: NDArray[np.float32], angles: NDArray[np.float64]) -> NDArray[np.float32]:
    """(d, d, d) mean of volumes (n, d, d, d) of mean 0, turned to where their reference stands.

    `angles` (n, 3), degrees: rot, tilt, psi as RELION writes them; each turns about voxel d // 2.
    The missing wedge is not made up for: directions that few of them measured stay weak.
    """
    total = np.zeros(volumes.shape[1:], np.float64)
    for turned in _turned_back(volumes, angles):
        total += turned
    return (total / max(len(volumes), 1)).astype(np.float32)


def particle_rotations(angles: NDArray[np.float64]) -> Rotation:
    """What takes a point x, y, z of the reference to where it is in each particle.

    Rot, tilt and psi turn the frame in which the particle is seen, about z, the new y, the new z
    (Heymann et al. 2005, J. Struct. Biol. 151:196), so the particle turns the other way.
    """
    return Rotation.from_euler("ZYZ", angles, degrees=True).inv()


def _turned_back(
    volumes: NDArray[np.float32], angles: NDArray[np.float64]
) -> Iterator[NDArray[np.float32]]:
    """Each (d, d, d), linear between voxels; what was outside the box becomes 0, the mean."""
    centre = np.full(3, volumes.shape[-1] // 2)
    for volume, matrix in zip(volumes, particle_rotations(angles).as_matrix(), strict=True):
        to_particle = matrix[::-1, ::-1]  # of z, y, x
        offset = centre - to_particle @ centre
        yield ndimage.affine_transform(volume, to_particle, offset, order=1)
