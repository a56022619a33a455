"""Where the boxes of a tomogram of one microtubule are: on its axis, on its wall, and far from it.

The microtubule runs along y, as in both crops. Its axis is the straight line through the middles of
the rings that fit each slab best; nobody picked it by hand.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

Array = NDArray[np.float64]
RADIUS, WALL = 112.0, 50.0  # Å: of the middle of the wall, and its thickness
DIMER = 82.0  # Å along a protofilament, from one tubulin dimer to the next
_SLAB = 8  # voxels along y that are averaged before a ring is fitted
_FINEST = 0.5  # share of slabs whose rings fit best: the line goes through these


@dataclass(frozen=True)
class Axis:
    """A straight line: z and x in voxels, as polynomials of y."""

    z: Array  # (2,)
    x: Array  # (2,)

    def at(self, y: Array) -> Array:
        """(m, 3) z, y, x of the points at `y` (m,)."""
        return np.stack([np.polyval(self.z, y), y, np.polyval(self.x, y)], axis=1)

    @property
    def direction(self) -> Array:
        """(3,) z, y, x of length one."""
        along = np.array([self.z[0], 1.0, self.x[0]])
        return along / np.linalg.norm(along)


def find_axis(tomogram: Array, voxel_spacing: float) -> Axis:
    """Of the one bright microtubule in a tomogram (z, y, x)."""
    middles, found, fits = [], [], []
    ring = _ring(voxel_spacing)
    for start in range(0, tomogram.shape[1] - _SLAB + 1, _SLAB):
        slab = ndimage.gaussian_filter(tomogram[:, start : start + _SLAB].mean(axis=1), 1.0)
        match = signal.fftconvolve(slab - slab.mean(), ring[::-1, ::-1], mode="same")
        found.append(np.unravel_index(match.argmax(), match.shape))
        fits.append(match.max())
        middles.append(start + (_SLAB - 1) / 2)
    best = np.argsort(fits)[-max(int(_FINEST * len(fits)), 2) :]
    zs, xs = np.array(found, float)[best].T
    return Axis(*(np.polyfit(np.array(middles)[best], of, 1) for of in (zs, xs)))


def on_axis(axis: Axis, shape: tuple[int, ...], voxel_spacing: float) -> Array:
    """(m, 3) points of the axis, a tubulin dimer apart."""
    step = DIMER / voxel_spacing * axis.direction[1]
    return axis.at(np.arange(step / 2, shape[1] - 1, step))


def on_wall(axis: Axis, shape: tuple[int, ...], voxel_spacing: float, filaments: int) -> Array:
    """(m, 3) points in the middle of the wall: one for each tubulin dimer, helix left out."""
    middles = on_axis(axis, shape, voxel_spacing)
    across = np.linalg.svd(axis.direction[None])[2][1:]  # (2, 3), both at right angles to it
    angles = 2 * np.pi * np.arange(filaments) / filaments
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ across * RADIUS / voxel_spacing
    points = (middles[:, None] + ring).reshape(-1, 3)
    return points[((points >= 0) & (points <= np.array(shape) - 1)).all(axis=1)]


def background(axis: Axis, shape: tuple[int, ...], voxel_spacing: float, edge: int) -> Array:
    """(m, 3) points on a grid whose boxes hold nothing of the microtubule, and are all inside."""
    low, high = edge // 2, np.array(shape) - edge + edge // 2
    grids = [np.arange(low, top + 1, edge // 4) for top in high]
    points = np.stack(np.meshgrid(*grids, indexing="ij"), axis=-1).reshape(-1, 3).astype(float)
    away = np.cross(points - axis.at(np.zeros(1)), axis.direction)
    far = (RADIUS + WALL / 2) / voxel_spacing + edge / 2 * np.sqrt(2)
    return points[np.linalg.norm(away, axis=1) > far]


def apart(points: Array, edge: int) -> int:
    """How many boxes of (m, 3) points share no voxel, one after the other being taken that fits."""
    taken: list[Array] = []
    for point in points:
        if all(np.abs(point - other).max() >= edge for other in taken):
            taken.append(point)
    return len(taken)


def _ring(voxel_spacing: float) -> Array:
    """(d, d) of sum zero: the wall in cross-section, bright."""
    half = int((RADIUS + WALL) / voxel_spacing) + 1
    z, x = np.mgrid[-half : half + 1, -half : half + 1]
    wall = np.exp(-0.5 * ((np.hypot(z, x) * voxel_spacing - RADIUS) / (WALL / 2)) ** 2)
    return wall - wall.mean()
