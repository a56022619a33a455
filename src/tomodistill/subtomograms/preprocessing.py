"""From stored volumes to what networks see: contrast, low-pass, normalisation.

One function, its parameters part of every model's manifest, so that training, evaluation, service
and bulk classification agree by construction.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from tomodistill.errors import InputError

Contrast = Literal["dark", "bright"]  # what the particle is against its surroundings


@dataclass(frozen=True)
class Preprocessing:
    """Parameters of `preprocess`."""

    lowpass: float = 40.0  # Å, where the filter passes half the amplitude; 0 = no filter

    def __post_init__(self) -> None:
        if not 0 <= self.lowpass < np.inf:
            raise InputError(
                expected="a low-pass in Å, 0 for none", found=f"{self.lowpass}", todo="Change it."
            )


def preprocess(
    volumes: NDArray[np.float32],
    *,
    voxel_spacing: float,
    contrast: Contrast,
    parameters: Preprocessing,
) -> NDArray[np.float32]:
    """(n, d, d, d) particle-bright volumes, low-passed, each of zero mean and unit variance.

    `voxel_spacing` in Å and `contrast` are those of the given volumes.
    """
    signed = -volumes if contrast == "dark" else volumes
    # First also before the float32 filter: a large offset would drown the particle in rounding.
    filtered = _low_pass(_normalise(signed), voxel_spacing, parameters.lowpass)
    return _normalise(filtered)


def _low_pass(
    volumes: NDArray[np.float32], voxel_spacing: float, resolution: float
) -> NDArray[np.float32]:
    """Gaussian in Fourier space: no ringing, which a sharp edge would add around the particle."""
    if resolution == 0:
        return volumes
    box = volumes.shape[-1]
    squared = np.square(fft.fftfreq(box, voxel_spacing))
    half = np.square(fft.rfftfreq(box, voxel_spacing))
    radius2 = squared[:, None, None] + squared[:, None] + half  # (d, d, d//2 + 1), 1/Å²
    transfer = np.exp2(-radius2 * resolution**2).astype(np.float32)
    spectrum = fft.rfftn(volumes, axes=(1, 2, 3)) * transfer
    return np.asarray(fft.irfftn(spectrum, s=volumes.shape[1:], axes=(1, 2, 3)), np.float32)


def _normalise(volumes: NDArray[np.float32]) -> NDArray[np.float32]:
    """In float64, so that values near 1e12 keep their variance; constant volumes become zero."""
    axes = (1, 2, 3)
    mean = volumes.mean(axis=axes, keepdims=True, dtype=np.float64)
    deviation = volumes - mean
    spread = np.sqrt(np.square(deviation).mean(axis=axes, keepdims=True))
    spread[spread == 0] = 1
    return np.asarray(deviation / spread, np.float32)
