"""Coarse-grained models of real complexes: density of the data in `complexes`.

Each asymmetric unit is a handful of beads; the point group makes the complex of them. A bead is a
ball of protein (1.21 Å³ per Da: Harpaz, Gerstein & Chothia 1994, Structure 2:641) with an equal
share of the mass, so that mass, symmetry and outer size are the stated ones, and cavities, gaps
and domains lie where the structure has them, as far as known: `basis` says of each where its
numbers come from. Many are alike in size and mass: telling them apart takes their shape.
"""

from __future__ import annotations

from math import ceil

import numpy as np
from scipy.spatial.transform import Rotation

from tomodistill.simulation.complexes import PAPER_COMPLEXES, Complex
from tomodistill.simulation.further_complexes import FURTHER
from tomodistill.simulation.resampling import PADDING

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]

CUBIC_A3_PER_KDA = 1210.0  # volume of protein, Å³ per kDa

COMPLEXES = tuple(sorted((*PAPER_COMPLEXES, *FURTHER), key=lambda entry: entry.name))
PAPER_GROUP = tuple(entry.name for entry in PAPER_COMPLEXES)  # sorted, as COMPLEXES are


def positions(entry: Complex) -> Array:
    """(group order x beads, 3) x, y, z in Å of every bead, centred on their mean."""
    rho, azimuth, height = np.array(entry.beads).T
    phi = np.radians(azimuth)
    unit = np.stack([rho * np.cos(phi), rho * np.sin(phi), height], axis=1)
    group = Rotation.create_group(entry.symmetry)
    everywhere: Array = np.concatenate([operation.apply(unit) for operation in group])
    centred: Array = everywhere - everywhere.mean(axis=0)
    return centred


def bead_radius(entry: Complex) -> float:
    """Å: radius of the ball of protein that holds one bead's share of the mass."""
    mass = entry.mass_kda / len(positions(entry))
    return float(np.cbrt(0.75 / np.pi * CUBIC_A3_PER_KDA * mass))


def density(entry: Complex, voxel_spacing: float) -> Array:
    """(d, d, d) float32, z, y, x, odd d: kDa in each voxel of `voxel_spacing` Å.

    A bead is the Gaussian with the ball's radius of gyration, blurred by half a voxel against
    aliasing. PADDING voxels surround everything farther in than three standard deviations.
    """
    beads = positions(entry)
    radius = bead_radius(entry)
    sigma = np.hypot(radius / np.sqrt(5), 0.5 * voxel_spacing)
    reach = np.linalg.norm(beads, axis=1).max() + 3 * sigma
    half = ceil(reach / voxel_spacing) + PADDING
    axis = voxel_spacing * np.arange(-half, half + 1)
    x, y, z = np.exp(-0.5 * ((axis - beads.T[..., None]) / sigma) ** 2)
    scale = voxel_spacing / (sigma * np.sqrt(2 * np.pi))
    total = np.einsum("nz,ny,nx->zyx", z, y, x, optimize=True)
    share = entry.mass_kda / len(beads)
    result: Array = (share * scale**3 * total).astype(np.float32)
    return result
