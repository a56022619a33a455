"""Signal-to-noise ratio: its one definition, and noise scaled to it.

SNR is var(signal) / var(noise) over the whole finished box and the full band, nothing filtered.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from tomodistill.simulation.optics import frequency_grid

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]


def snr(signal: Array, noise: Array) -> float:
    """var(signal) / var(noise) of two arrays (d, d, d) over all voxels."""
    return float(np.var(signal, dtype=np.float64) / np.var(noise, dtype=np.float64))


def scale_noise(signal: Array, noise: Array, *, target_snr: float) -> Array:
    """(d, d, d): `noise` scaled so that snr(signal, result) is `target_snr`."""
    return noise * noise.dtype.type(np.sqrt(snr(signal, noise) / target_snr))


def band_snr(signal: Array, noise: Array, *, voxel_spacing: float, resolution: float) -> float:
    """SNR of two arrays (d, d, d) within `resolution` (Å): both cut above 1/resolution first."""
    inside = frequency_grid(signal.shape[0], voxel_spacing) <= 1.0 / resolution
    return snr(_filter(signal, inside), _filter(noise, inside))


def _filter(volume: Array, mask: np.ndarray) -> Array:
    filtered: Array = fft.irfftn(fft.rfftn(volume) * mask, volume.shape)
    return filtered
