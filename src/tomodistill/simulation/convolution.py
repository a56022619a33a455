"""The `convolution` recipe: one subtomogram as a density convolved with one 3-D CTF.

rotate -> shift -> CTF x MTF -> crop, white detector noise beside it, both through the wedge.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import numpy as np
from scipy import fft, ndimage
from scipy.spatial.transform import Rotation

from tomodistill.simulation import noise, optics, wedge
from tomodistill.simulation.config import SimulationConfig
from tomodistill.simulation.structures import Structure

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]


@dataclass(frozen=True, eq=False)
class Pose:
    """How one particle lies and was imaged."""

    rotation: Rotation  # takes the structure's (x, y, z) to the subtomogram's
    shift: Array  # (3,) voxels, z, y, x
    defocus: float  # µm, underfocus positive


def draw_pose(config: SimulationConfig, rng: np.random.Generator) -> Pose:
    """A Haar rotation, a uniform shift along each axis and a uniform defocus."""
    rotation = Rotation.random(rng=rng)
    shift = rng.uniform(-config.shift, config.shift, 3)
    return Pose(rotation, shift, float(rng.uniform(config.defocus_min, config.defocus_max)))


def rotate(structure: Structure, rotation: Rotation) -> Array:
    """(d, d, d) float32: the density turned about voxel d // 2 by cubic spline."""
    inverse = rotation.inv().as_matrix()[::-1, ::-1]  # on (z, y, x)
    spline = structure.spline
    centre = np.array(spline.shape) // 2
    offset = centre - inverse @ centre
    turned: Array = ndimage.affine_transform(spline, inverse, offset, order=3, prefilter=False)
    return turned


def image(density: Array, pose: Pose, config: SimulationConfig) -> Array:
    """(box, box, box) float32: a centred density shifted and seen through CTF and MTF.

    Worked in a box wide enough that nothing the CTF spreads wraps round into the crop.
    """
    edge = _working_edge(density.shape[0], config)
    start = edge // 2 - density.shape[0] // 2
    padded = np.pad(density, (start, edge - start - density.shape[0]))
    spectrum = fft.rfftn(padded) * _transfer(edge, pose.defocus, config)
    imaged: Array = fft.irfftn(_shifted(spectrum, pose.shift), (edge,) * 3)
    crop = slice(edge // 2 - config.box // 2, edge // 2 - config.box // 2 + config.box)
    return imaged[crop, crop, crop]


def signal_and_noise(
    structure: Structure, pose: Pose, config: SimulationConfig, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Two (box, box, box) float32 arrays whose sum is the finished volume, SNR as configured."""
    region = _measured(config.box, *config.tilt_range)
    signal = _through(image(rotate(structure, pose.rotation), pose, config), region)
    white = rng.standard_normal((config.box,) * 3, dtype=np.float32)
    return signal, noise.scale_noise(signal, _through(white, region), target_snr=config.snr)


def _working_edge(density_edge: int, config: SimulationConfig) -> int:
    """Voxels: an edge at which density, shift and CTF reach at most half-way to the next copy."""
    nyquist = 0.5 / config.voxel_spacing
    spread = optics.delocalisation(
        defocus=config.defocus_max, voltage=config.voltage, frequency=nyquist
    )
    needed = (config.box + density_edge) / 2 + config.shift + spread / config.voxel_spacing
    return int(fft.next_fast_len(max(density_edge, config.box, ceil(needed)), real=True))


def _transfer(edge: int, defocus: float, config: SimulationConfig) -> Array:
    frequency = optics.frequency_grid(edge, config.voxel_spacing)
    contrast = optics.ctf(
        frequency,
        defocus=defocus,
        voltage=config.voltage,
        cs=config.cs,
        amplitude_contrast=config.amplitude_contrast,
    )
    return contrast * _modulation(edge, config.voxel_spacing)


def _shifted(spectrum: np.ndarray, shift: Array) -> np.ndarray:
    """The `rfftn` spectrum of a cube moved by `shift` (z, y, x) voxels, sub-voxel exact."""
    edge = spectrum.shape[0]
    frequencies = (fft.fftfreq(edge), fft.fftfreq(edge), fft.rfftfreq(edge))
    z, y, x = (
        np.exp(-2j * np.pi * k * moved).astype(np.complex64)
        for k, moved in zip(frequencies, shift, strict=True)
    )
    moved_spectrum: np.ndarray = spectrum * (z[:, None, None] * (y[:, None] * x))
    return moved_spectrum


def _through(volume: Array, region: np.ndarray) -> Array:
    """A volume with the Fourier space outside the measured region emptied."""
    filtered: Array = fft.irfftn(fft.rfftn(volume) * region, volume.shape)
    return filtered


@lru_cache(maxsize=32)
def _measured(box: int, tilt_min: float, tilt_max: float) -> np.ndarray:
    region = wedge.measured_region(box, tilt_min, tilt_max)[..., : box // 2 + 1]
    region.flags.writeable = False
    return region


@lru_cache(maxsize=32)
def _modulation(edge: int, voxel_spacing: float) -> Array:
    transfer = optics.mtf(optics.frequency_grid(edge, voxel_spacing), voxel_spacing)
    transfer.flags.writeable = False
    return transfer
