"""Transfer of signal and noise through microscope and detector, at spatial frequencies in 1/Å."""

from __future__ import annotations

from math import asin

import numpy as np
from scipy import constants, fft

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]

MEAN_FREE_PATH = 395.0  # nm, inelastic, ice at 300 kV: Rice et al. 2018, J. Struct. Biol. 204:38


def frequency_grid(box: int, voxel_spacing: float) -> Array:
    """(d, d, d//2 + 1) float32, 1/Å: radial frequency in the order of `rfftn`."""
    full = fft.fftfreq(box, voxel_spacing) ** 2
    half = fft.rfftfreq(box, voxel_spacing) ** 2
    squared = full[:, None, None] + full[:, None] + half
    radial: Array = np.sqrt(squared).astype(np.float32)
    return radial


def wavelength(voltage: float) -> float:
    """Relativistic electron wavelength in Å at a voltage in kV (de Broglie; 0.0197 Å at 300 kV)."""
    energy = constants.e * voltage * 1e3  # J
    rest = constants.m_e * constants.c**2  # J
    momentum = np.sqrt(energy * (energy + 2 * rest)) / constants.c
    return float(constants.h / momentum * 1e10)


def ctf(
    frequency: Array,
    *,
    defocus: float | Array,
    voltage: float,
    cs: float,
    amplitude_contrast: float,
) -> Array:
    """Contrast transfer at `frequency` (any shape, 1/Å), −1 to 1.

    −sin(π λ Δf k² − ½ π Cs λ³ k⁴ + asin A) with defocus Δf in µm (underfocus positive; an array
    broadcasts), voltage in kV, Cs in mm, amplitude contrast A: −A at zero frequency, so protein
    comes out dark. Source: Rohou & Grigorieff 2015, J. Struct. Biol. 192:216, equations 2 to 4,
    without astigmatism.
    """
    lam = wavelength(voltage)
    k2 = frequency**2
    defocus_term = k2 * (np.asarray(defocus, k2.dtype) * k2.dtype.type(np.pi * lam * 1e4))
    aberration = k2**2 * k2.dtype.type(0.5 * np.pi * cs * 1e7 * lam**3)
    phase: Array = defocus_term - aberration + k2.dtype.type(asin(amplitude_contrast))
    return -np.sin(phase)


def damage(frequency: Array, dose: Array) -> Array:
    """Amplitude that is left at `frequency` (1/Å) after `dose` (electrons per Å²), 0 to 1.

    exp(−N / (2 Nₑ(k))), Nₑ(k) = 0.245 k^−1.665 + 2.81: Grant & Grigorieff 2015, eLife 4:e06980,
    equations 3 and 5, at 300 kV.
    """
    with np.errstate(divide="ignore"):  # nothing destroys the zero frequency
        critical = 0.245 * frequency**-1.665 + 2.81
    left: Array = np.exp(-dose / (2 * critical))
    return left


def path_length(tilt: Array) -> Array:
    """Way through the ice at `tilt` (degrees), 1 without: 1 / cos θ.

    Up to ten: at higher tilts the specimen's edge comes first.
    """
    length: Array = 1 / np.maximum(np.cos(np.radians(tilt)), 0.1)
    return length


def thickness_loss(tilt: Array, thickness: float) -> Array:
    """Signal against shot noise at `tilt` (degrees) through `thickness` nm of ice: 1 at no tilt.

    exp(−t (1/cos θ − 1) / 2Λ): the elastic electrons fall off with their way through the ice, and
    the shot noise of images scaled to one noise with their root.
    """
    loss: Array = np.exp(-thickness * (path_length(tilt) - 1) / (2 * MEAN_FREE_PATH))
    return loss


def noise_transfer(frequency: Array, *, pixel: float, at_nyquist: float) -> Array:
    """What scatter within the detector leaves at `frequency` (1/Å), of signal and shot noise alike.

    A Gaussian that is `at_nyquist` at the Nyquist frequency of its pixels of `pixel` Å. Noise is
    taken to keep what the pixel's aperture takes of the signal, because it comes back by aliasing:
    exact for white noise, and 20 % too much power at the Nyquist frequency for `at_nyquist` 0.5.
    Source: McMullan et al. 2009, Ultramicroscopy 109:1126.
    """
    left: Array = at_nyquist ** (2 * pixel * frequency) ** 2
    return left


def mtf(frequency: Array, *, pixel: float, at_nyquist: float) -> Array:
    """Modulation transfer of the signal at `frequency` (1/Å): scatter and the pixel's aperture.

    The aperture is |sinc(k a)| of a square pixel of a = `pixel` Å.
    """
    aperture: Array = np.abs(np.sinc(frequency * pixel))
    return aperture * noise_transfer(frequency, pixel=pixel, at_nyquist=at_nyquist)


def low_pass(frequency: Array, resolution: float) -> Array:
    """Gaussian at `frequency` (1/Å), one half at `resolution` Å; all ones for a resolution of 0."""
    passed: Array = np.exp2(-((frequency * resolution) ** 2))
    return passed


def delocalisation(*, defocus: float, voltage: float, frequency: float) -> float:
    """How far, in Å, a defocus in µm displaces information at `frequency` in 1/Å: λ Δf k."""
    return wavelength(voltage) * defocus * 1e4 * frequency
