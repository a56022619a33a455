"""Contrast and modulation transfer as functions of spatial frequency in 1/Å."""

from __future__ import annotations

from functools import lru_cache
from math import asin

import numpy as np
from scipy import constants, fft

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]


@lru_cache(maxsize=32)
def frequency_grid(box: int, voxel_spacing: float) -> Array:
    """(d, d, d//2 + 1) float32, 1/Å: radial frequency in the order of `rfftn`, read-only."""
    full = fft.fftfreq(box, voxel_spacing) ** 2
    half = fft.rfftfreq(box, voxel_spacing) ** 2
    squared = full[:, None, None] + full[:, None] + half
    radial: Array = np.sqrt(squared).astype(np.float32)
    radial.flags.writeable = False
    return radial


def wavelength(voltage: float) -> float:
    """Relativistic electron wavelength in Å at a voltage in kV (de Broglie; 0.0197 Å at 300 kV)."""
    energy = constants.e * voltage * 1e3  # J
    rest = constants.m_e * constants.c**2  # J
    momentum = np.sqrt(energy * (energy + 2 * rest)) / constants.c
    return float(constants.h / momentum * 1e10)


def ctf(
    frequency: Array, *, defocus: float, voltage: float, cs: float, amplitude_contrast: float
) -> Array:
    """Contrast transfer at `frequency` (any shape, 1/Å), same shape, −1 to 1.

    −sin(π λ Δf k² − ½ π Cs λ³ k⁴ + asin A) with defocus Δf in µm (underfocus positive), voltage in
    kV, Cs in mm, amplitude contrast A: −A at zero frequency, so protein comes out dark.
    Source: Rohou & Grigorieff 2015, J. Struct. Biol. 192:216, equations 2 to 4, without
    astigmatism.
    """
    lam = wavelength(voltage)
    k2 = frequency**2
    defocus_term = np.pi * lam * defocus * 1e4 * k2
    aberration = 0.5 * np.pi * cs * 1e7 * lam**3 * k2**2
    phase: Array = defocus_term - aberration + asin(amplitude_contrast)
    return -np.sin(phase)


def mtf(frequency: Array, voxel_spacing: float) -> Array:
    """Modulation transfer at `frequency` (any shape, 1/Å), same shape, 0 to 1.

    |sinc(k a)| of an ideal square pixel of width a = `voxel_spacing` in Å: 1 at zero frequency and
    2/π at Nyquist. Source: McMullan et al. 2009, Ultramicroscopy 109:1126.
    """
    transfer: Array = np.abs(np.sinc(frequency * voxel_spacing))
    return transfer


def delocalisation(*, defocus: float, voltage: float, frequency: float) -> float:
    """How far, in Å, a defocus in µm displaces information at `frequency` in 1/Å: λ Δf k."""
    return wavelength(voltage) * defocus * 1e4 * frequency
