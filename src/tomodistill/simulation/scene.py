"""What lies in a picked box: particles turned and placed, pieces of membrane, gold beads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from tomodistill.simulation.structures import Structure

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]

LEAFLET = 18.0  # Å from a membrane's middle to its head groups: Mitra et al. 2004, PNAS 101:4083
HEAD_GROUPS = 6.0  # Å, standard deviation of the density of one layer of them
GOLD_CONTRAST = 8.0  # protein = 1: gold, protein and ice have about 28, 7.5 and 4.6 V


@dataclass(frozen=True, eq=False)
class Pose:
    """How one particle lies."""

    rotation: Rotation  # takes the structure's (x, y, z) to the subtomogram's
    shift: Array  # (3,) voxels from the centre of the box, z, y, x


def place(scene: Array, structure: Structure, pose: Pose, *, keep: Array | None = None) -> None:
    """Add a structure to a scene (d, d, d) about voxel d // 2 + shift, by cubic spline.

    What lies outside the scene is cut. `keep` (3,), a normal z, y, x, keeps only what lies on its
    side of the particle's centre.
    """
    ball = _ball(structure.density.shape[0])
    whole = np.rint(pose.shift).astype(int)
    offset = ball - (pose.shift - whole)[:, None]  # from the particle's centre
    inverse = pose.rotation.inv().as_matrix()[::-1, ::-1]  # on (z, y, x)
    centre = structure.density.shape[0] // 2
    at = ball + (whole + scene.shape[0] // 2)[:, None]
    seen = ((at >= 0) & (at < scene.shape[0])).all(axis=0)
    if keep is not None:
        seen &= keep @ offset > 0
    points = (inverse @ offset[:, seen]) + centre
    values = ndimage.map_coordinates(structure.spline, points, order=3, prefilter=False)
    scene[tuple(at[:, seen])] += values


def rotate(structure: Structure, rotation: Rotation) -> Array:
    """(d, d, d) float32: the density turned about voxel d // 2."""
    turned = np.zeros_like(structure.density)
    place(turned, structure, Pose(rotation, np.zeros(3)))
    return turned


def add_membrane(
    scene: Array, *, point: Array, normal: Array, radius: float, voxel_spacing: float
) -> None:
    """Add two leaflets of a vesicle of `radius` Å whose middle passes through `point`.

    `point` (3,) voxels from the scene's centre, `normal` (3,) the unit vector at it that points
    away from the vesicle's centre. The head groups have the contrast of protein.
    """
    centre = point * voxel_spacing - normal * radius
    depth = np.sqrt(_squares(scene.shape[0], voxel_spacing, centre)) - radius
    width = np.hypot(HEAD_GROUPS, 0.5 * voxel_spacing)
    for side in (-LEAFLET, LEAFLET):
        scene += HEAD_GROUPS / width * np.exp(-0.5 * ((depth - side) / width) ** 2)


def add_gold(scene: Array, *, point: Array, radius: float, voxel_spacing: float) -> None:
    """Add a gold bead of `radius` Å at `point` (3,), voxels from the scene's centre."""
    distance = np.sqrt(_squares(scene.shape[0], voxel_spacing, point * voxel_spacing))
    scene += GOLD_CONTRAST * np.clip(0.5 + (radius - distance) / voxel_spacing, 0, 1)


def _squares(edge: int, voxel_spacing: float, centre: Array) -> Array:
    """(d, d, d) float32, Å²: squared distance of every voxel from `centre` (3,) in Å."""
    axis = (voxel_spacing * (np.arange(edge) - edge // 2)).astype(np.float32)
    z, y, x = (np.square(axis - np.float32(at)) for at in centre)
    squares: Array = z[:, None, None] + y[:, None] + x
    return squares


@lru_cache(maxsize=64)
def _ball(edge: int) -> np.ndarray:
    """(3, p) voxels, centre 0, of the ball that holds a density of that edge wherever it is moved.

    The density keeps two voxels from its border (Structure), a sub-voxel shift takes less than one.
    """
    offsets = np.stack(np.meshgrid(*[np.arange(edge) - edge // 2] * 3, indexing="ij"))
    inside = (offsets**2).sum(axis=0) <= (edge / 2 - 1) ** 2
    return offsets[:, inside]
