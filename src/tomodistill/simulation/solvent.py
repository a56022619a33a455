"""The solvent of a density map: deposited maps are surrounded by its noise, not by zeros."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]

BORDER = 2  # voxels along each face that are taken for solvent
CLEAN = 0.005  # of the maximum: noise below this is left as it is
STANDS_OUT = 4.0  # standard deviations of the solvent by which a particle is brighter
PIECE = 0.05  # of the largest piece's mass: smaller ones are noise
SOFT_EDGE = 2  # voxels round the pieces that stay


def without_solvent(density: Array) -> Array:
    """(z, y, x) of a map (z, y, x) with the solvent's level at 0 and its noise gone.

    Level and noise are median and median deviation near the faces; what stands out of them, in
    pieces that are not small, is the particle. A map that is clean there stays as it is, and so
    does one whose particle reaches its faces: nothing tells solvent from it. Raises ValueError for
    a particle that is darker than the solvent.
    """
    border = density[_faces(density.shape)]
    level = np.median(border)
    noise = 1.4826 * float(np.median(np.abs(border - level)))  # of a Gaussian: its deviation
    raised = density - level
    contrast = max(float(raised.max()), -float(raised.min()))
    if contrast < 2 * STANDS_OUT * noise:
        return density
    if -float(raised.min()) == contrast:
        raise ValueError("a particle darker than its surroundings: multiply the map by -1")
    if noise <= CLEAN * contrast:
        return density
    return np.where(_pieces(raised, STANDS_OUT * noise), raised, 0).astype(density.dtype)


def _faces(shape: tuple[int, ...]) -> np.ndarray:
    """(z, y, x) bool: True within BORDER voxels of a face."""
    faces = np.ones(shape, bool)
    faces[(slice(BORDER, -BORDER),) * 3] = False
    return faces


def _pieces(raised: Array, threshold: float) -> np.ndarray:
    """(z, y, x) bool: the large pieces above a threshold, and what lies round them."""
    labels, count = ndimage.label(raised > threshold)
    masses = ndimage.sum_labels(raised, labels, np.arange(1, count + 1))
    large = np.concatenate([[False], masses >= PIECE * masses.max()])
    kept: np.ndarray = ndimage.binary_dilation(large[labels], iterations=SOFT_EDGE)
    return kept
