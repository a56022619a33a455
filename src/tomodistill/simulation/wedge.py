"""The part of Fourier space that a single-axis tilt series measures."""

from __future__ import annotations

import numpy as np
from scipy import fft

BoolArray = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def measured_region(box: int, tilt_min: float, tilt_max: float) -> BoolArray:
    """(d, d, d) bool, z, y, x in the order of `fftn`: True where some tilt measured.

    Tilt axis y, beam along z; tilts in degrees. A specimen turned right-handed by θ about y gives
    the central slice through the y axis and the direction kz/kx = tan θ (projection-slice theorem;
    Crowther et al. 1970). The region is Friedel symmetric, also on the Nyquist planes.
    """
    k = fft.fftfreq(box)
    kz, kx = np.meshgrid(k, k, indexing="ij")
    measured = _within(kz, kx, tilt_min, tilt_max)  # (z, x)
    # At Nyquist one sample stands for both signs of k: measured only if both are.
    measured &= _within(_friedel(kz), _friedel(kx), tilt_min, tilt_max)
    return np.repeat(measured[:, None, :], box, axis=1)


def _friedel(k: np.ndarray) -> np.ndarray:
    """(z, x) frequencies read at −k of each sample."""
    return np.roll(k[::-1, ::-1], 1, axis=(0, 1))


def _within(kz: np.ndarray, kx: np.ndarray, tilt_min: float, tilt_max: float) -> BoolArray:
    """Whether the direction of (kz, kx), taken modulo 180°, lies in the tilt range."""
    angle = np.degrees(np.arctan2(kz, kx))  # −180 to 180
    angle = (angle - tilt_min + 1e-9) % 180.0  # above tilt_min, modulo Friedel's half turn
    within: BoolArray = (angle <= tilt_max - tilt_min + 2e-9) | ((kz == 0) & (kx == 0))
    return within
