"""How one subtomogram was imaged, and what signal and noise go through on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

import numpy as np
from scipy import fft

from tomodistill.errors import InputError
from tomodistill.simulation import optics
from tomodistill.simulation.config import SimulationConfig

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]

LARGEST_EDGE = 384  # voxels: half a GiB for each complex spectrum of the cube


@dataclass(frozen=True)
class Exposure:
    """What differs between two boxes of a set."""

    defocus: float  # µm at zero tilt, underfocus positive
    snr: float  # nominal
    x: float = 0.0  # µm from the tilt axis
    z: float = 0.0  # µm from the tilt axis, along the beam


def draw_exposure(config: SimulationConfig, rng: np.random.Generator) -> Exposure:
    """Uniform defocus and place in the field, SNR uniform in its logarithm."""
    return Exposure(
        defocus=config.defocus.draw(rng),
        snr=config.snr.draw_log(rng),
        x=float(rng.uniform(-0.5, 0.5) * config.field),
        z=float(rng.uniform(-0.5, 0.5) * config.thickness * 1e-3),
    )


def defocus_at(exposure: Exposure, tilt: Array) -> Array:
    """(t,) µm: defocus of the particle at `tilt` (degrees), right-handed about y.

    The beam runs towards +z, so what tilting moves to larger z is farther under focus.
    """
    theta = np.radians(tilt)
    moved: Array = exposure.x * np.sin(theta) + exposure.z * (1 - np.cos(theta))
    return exposure.defocus - moved


def ctf(frequency: Array, defocus: float | Array, config: SimulationConfig) -> Array:
    """The CTF at `frequency` (1/Å)."""
    return optics.ctf(
        frequency,
        defocus=defocus,
        voltage=config.voltage,
        cs=config.cs,
        amplitude_contrast=config.amplitude_contrast,
    )


def detector(frequency: Array, config: SimulationConfig) -> tuple[Array, Array]:
    """Transfer of signal and of shot noise at `frequency` (1/Å), the low-pass in both."""
    pixel = config.voxel_spacing / config.binning
    passed = optics.low_pass(frequency, config.recipe_lowpass)
    signal = optics.mtf(frequency, pixel=pixel, at_nyquist=config.mtf_nyquist)
    shot = optics.noise_transfer(frequency, pixel=pixel, at_nyquist=config.mtf_nyquist)
    return signal * passed, shot * passed


def noise_power(
    structural: Array, shot: Array, share: float, *, variance_of: Callable[[Array], float]
) -> Array:
    """Power that makes noise of variance one, `share` of it from `structural`, the rest `shot`.

    Both are power spectra of any common shape; `variance_of` gives the variance each would have.
    Raises InputError for a part that the optics let nothing through of.
    """
    power = np.zeros_like(structural)
    for part, spectrum in ((share, structural), (1 - share, shot)):
        if part > 0:
            power += part / _positive(variance_of(spectrum)) * spectrum
    return power


def padded_edge(config: SimulationConfig, least: float) -> int:
    """Voxels: an edge of at least `least` from which nothing the CTF spreads wraps into the box.

    Raises InputError for a cube that no memory holds.
    """
    spread = optics.delocalisation(
        defocus=config.defocus.high, voltage=config.voltage, frequency=0.5 / config.voxel_spacing
    )
    needed = max(least, config.box + 2 * spread / config.voxel_spacing)
    if needed > LARGEST_EDGE:
        raise InputError(
            expected=f"a padded box of at most {LARGEST_EDGE} voxels along each edge",
            found=f"{needed:.0f}: the CTF spreads {spread:.0f} Å at {config.voxel_spacing:g} Å",
            todo="Give a larger voxel_spacing, a smaller box or a smaller defocus.",
        )
    return int(fft.next_fast_len(ceil(needed), real=True))


def _positive(variance: float) -> float:
    if variance <= 0:
        raise InputError(
            expected="optics that let some of the noise through",
            found="none of it",
            todo="Give a defocus, an amplitude_contrast above 0, or a smaller recipe_lowpass.",
        )
    return variance
