"""A density taken to another voxel spacing and centred, ready to be turned."""

from __future__ import annotations

from math import ceil, prod

import numpy as np
from scipy import fft, ndimage

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]

PADDING = 2  # voxels round the outermost density, so that no rotation cuts it
LARGEST = 2**28  # voxels (645 along each edge): no grid of one particle is larger
SUPPORT = 0.01  # density below this fraction of the maximum does not count as the particle


def resample(density: Array, *, spacing: float, target: float) -> Array:
    """(d, d, d) float32, odd d: a density (z, y, x) taken from `spacing` to `target`, both Å.

    Negative values are clipped; the centre of mass comes to voxel d // 2; frequencies above the
    Nyquist limit of a coarser target are removed first; PADDING voxels surround the particle.
    Raises ValueError for a particle too large, or a spacing too fine, for a grid of `target`.
    """
    positive = np.clip(density.astype(np.float32, copy=False), 0, None)
    centre, radius = _ball(positive)
    half = ceil(radius * spacing / target) + PADDING
    if (2 * half + 1) ** 3 > LARGEST:
        raise ValueError(f"a particle across {2 * half + 1} voxels of {target:g} Å")
    step = target / spacing
    limited = _band_limit(positive, 1.0 / step) if step > 1.0 else positive
    shape, offset = (2 * half + 1,) * 3, centre - half * step
    resampled = ndimage.affine_transform(
        limited, np.full(3, step), offset, shape, output=np.float32, order=3
    )
    clipped: Array = np.clip(resampled, 0, None)
    return clipped


def _ball(positive: Array) -> tuple[Array, float]:
    """(3,) centre of mass z, y, x of the particle, and the radius that holds it, both in voxels."""
    inside = positive > SUPPORT * positive.max()
    centre = np.array(ndimage.center_of_mass(np.where(inside, positive, 0)))
    axes = (np.arange(n, dtype=np.float32) for n in positive.shape)
    z, y, x = ((axis - middle) ** 2 for axis, middle in zip(axes, centre, strict=True))
    squares = z[:, None, None] + y[:, None] + x
    return centre, float(np.sqrt(squares[inside].max()))


def _band_limit(density: Array, fraction: float) -> Array:
    """Keep frequencies below `fraction` of Nyquist, with a cosine edge over the last fifth."""
    padded = [fft.next_fast_len(n + 2 * ceil(2 / fraction), real=True) for n in density.shape]
    if prod(padded) > 2 * LARGEST:
        raise ValueError(f"voxels {1 / fraction:g} times as fine as those asked for")
    # float32 throughout: 12 bytes a padded voxel beside the density, 7 GB at most.
    axes = [fft.fftfreq(n) for n in padded[:2]] + [fft.rfftfreq(padded[2])]
    scaled = ((2.0 / fraction * axis).astype(np.float32) for axis in axes)
    kz, ky, kx = np.meshgrid(*scaled, indexing="ij", sparse=True)
    relative = np.sqrt(kz**2 + ky**2 + kx**2)
    edge = 0.5 + 0.5 * np.cos(np.pi * np.clip((relative - 0.8) / 0.2, 0, 1))
    spectrum = fft.rfftn(density, padded)
    spectrum *= edge
    limited: Array = fft.irfftn(spectrum, padded, overwrite_x=True)
    return limited[tuple(slice(n) for n in density.shape)]
