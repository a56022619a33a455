"""The recipe `tilt_series`: every tilt is imaged by itself, then all are back-projected.

scene -> central slices -> CTF of each tilt, dose, thickness, detector; structural noise before
the optics, shot noise after them -> weighted back-projection. Worked in a padded cube and cropped
last.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from scipy import fft

from tomodistill.simulation import exposure, optics
from tomodistill.simulation.config import SimulationConfig
from tomodistill.simulation.exposure import Exposure
from tomodistill.simulation.projection import Projector, accumulated_dose, tilt_angles

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]


class TiltSeries:
    """Images scenes of `edge` voxels into boxes of `config.box`; spectra are (d, t, d//2 + 1)."""

    def __init__(self, config: SimulationConfig) -> None:
        self.config = config
        self.edge = exposure.padded_edge(config, sqrt(2) * config.box)  # any tilt's view of it
        self.angles = tilt_angles(config.tilt_min, config.tilt_max, config.tilt_step)
        self.projector = Projector.of(edge=self.edge, box=config.box, angles=self.angles)
        self.frequency = _frequencies(self.edge, config.voxel_spacing)
        signal, self.shot = exposure.detector(self.frequency, config)
        loss = optics.thickness_loss(self.angles, config.thickness).astype(np.float32)[:, None]
        self.ice = signal * loss
        dose = accumulated_dose(self.angles, config.dose).astype(np.float32)[:, None]
        self.signal = self.ice * optics.damage(self.frequency, dose)

    def image(self, scene: Array, of: Exposure) -> Array:
        """(b, b, b) float32: a scene (d, d, d) as its tomogram shows it, protein dark."""
        transfer = self._contrast(of) * self.signal
        return self.projector.reconstruct(self.projector.project(scene) * transfer)

    def noise(self, of: Exposure, rng: np.random.Generator) -> Array:
        """(b, b, b) float32 noise of expected variance one.

        Structural noise is drawn anew for each tilt: of the ice through which a tilt looks, all
        but the little within the box is other ice at the next tilt.
        """
        ice, shot = np.square(self._contrast(of) * self.ice), np.square(self.shot)
        power = exposure.noise_power(
            ice,
            np.broadcast_to(shot, ice.shape),
            self.config.structural_noise,
            variance_of=self.projector.variance,
        )
        return self.projector.reconstruct(self.projector.white_noise(rng) * np.sqrt(power))

    def _contrast(self, of: Exposure) -> Array:
        defocus = exposure.defocus_at(of, self.angles)[:, None]
        return exposure.contrast(self.frequency, defocus, self.config)


def _frequencies(edge: int, voxel_spacing: float) -> Array:
    """(d, 1, d//2 + 1) float32, 1/Å: radial frequency of an image's spectrum."""
    along_y = fft.fftfreq(edge, voxel_spacing)[:, None, None]
    frequencies: Array = np.hypot(along_y, fft.rfftfreq(edge, voxel_spacing)).astype(np.float32)
    return frequencies
