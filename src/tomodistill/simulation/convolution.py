"""The recipe `convolution`: a scene convolved with one 3-D point spread, then the missing wedge.

The model of the paper's group: one CTF for the whole volume, part of the noise before it and part
after it, a binary wedge. Worked in a padded cube and cropped last.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from tomodistill.simulation import exposure, optics, wedge
from tomodistill.simulation.config import SimulationConfig
from tomodistill.simulation.exposure import Exposure

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]


class Convolution:
    """Images scenes of `edge` voxels into boxes of `config.box`."""

    def __init__(self, config: SimulationConfig) -> None:
        self.config = config
        self.edge = exposure.padded_edge(config, config.box)
        self.frequency = optics.frequency_grid(self.edge, config.voxel_spacing)
        measured = wedge.measured_region(self.edge, *config.tilt_range)
        self.measured = measured[..., : self.edge // 2 + 1]
        signal, shot = exposure.detector(self.frequency, config)
        self.signal, self.shot = signal * self.measured, shot * self.measured

    def image(self, scene: Array, of: Exposure) -> Array:
        """(b, b, b) float32: a scene (d, d, d) as the microscope shows it, protein dark."""
        transfer = self._ctf(of) * self.signal
        return self._crop(fft.rfftn(scene) * transfer)

    def noise(self, of: Exposure, rng: np.random.Generator) -> Array:
        """(b, b, b) float32 noise of expected variance one."""
        ice = np.square(self._ctf(of) * self.signal)
        power = exposure.noise_power(
            ice, np.square(self.shot), self.config.structural_noise, variance_of=self._variance
        )
        white = rng.standard_normal((self.edge,) * 3, dtype=np.float32)
        return self._crop(fft.rfftn(white) * np.sqrt(power))

    def _ctf(self, of: Exposure) -> Array:
        return exposure.ctf(self.frequency, of.defocus, self.config)

    def _variance(self, power: Array) -> float:
        """Variance of white noise times `power` (d, d, d//2 + 1): its mean over the full grid."""
        twice = power[..., 1 : (self.edge + 1) // 2].sum(dtype=np.float64)  # these stand for −k too
        return float((power.sum(dtype=np.float64) + twice) / self.edge**3)

    def _crop(self, spectrum: np.ndarray) -> Array:
        whole = fft.irfftn(spectrum, (self.edge,) * 3)
        start = self.edge // 2 - self.config.box // 2
        middle = slice(start, start + self.config.box)
        return np.ascontiguousarray(whole[middle, middle, middle], np.float32)
