"""Signal-to-noise ratio: its one definition.

    SNR = var(signal) / var(noise)

over every voxel of the finished box and the full band, after whatever low-pass the recipe was
given; the signal is that of the particle alone, without its neighbours. The recipe `convolution`
brings each box to the SNR asked for, as the paper's group did. The recipe `tilt_series` has one
level of noise for a whole set, as a microscope has: there var(signal) is the median over the
classes of its mean over random poses, so that half the classes are seen better than the SNR says,
and half worse. (Given a range, each item draws its SNR, and with it the level.) Boxes of class
`none` have the noise of the others.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from tomodistill.simulation.optics import frequency_grid

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]


def snr(signal: Array, noise: Array) -> float:
    """var(signal) / var(noise) of two arrays (d, d, d) over all voxels."""
    return float(np.var(signal, dtype=np.float64) / np.var(noise, dtype=np.float64))


def noise_level(present_snr: float, target_snr: float) -> float:
    """What noise must be multiplied by to bring the SNR from one value to the other."""
    return float(np.sqrt(present_snr / target_snr))


def within(volume: Array, *, voxel_spacing: float, resolution: float) -> Array:
    """(d, d, d): a volume without what lies above 1/`resolution` (Å), cut sharply."""
    inside = frequency_grid(volume.shape[0], voxel_spacing) <= 1.0 / resolution
    filtered: Array = fft.irfftn(fft.rfftn(volume) * inside, volume.shape)
    return filtered
