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
    """Images scenes of `edge` voxels into boxes of `config.box`; spectra are (d, s): Projector."""

    def __init__(self, config: SimulationConfig) -> None:
        self.config = config
        self.edge = exposure.padded_edge(config, sqrt(2) * config.box)  # any tilt's view of it
        angles = tilt_angles(config.tilt_min, config.tilt_max, config.tilt_step)
        self.projector = Projector.of(edge=self.edge, box=config.box, angles=angles)
        self.frequency = _frequencies(self.projector, config.voxel_spacing)
        signal, self.shot = exposure.detector(self.frequency, config)
        loss = optics.thickness_loss(self.projector.angles, config.thickness)
        dose = accumulated_dose(angles, config.dose)[self.projector.tilt]
        self.ice = signal * loss.astype(np.float32)
        self.path = optics.path_length(self.projector.angles).astype(np.float32)
        self.signal = self.ice * optics.damage(self.frequency, dose.astype(np.float32))

    def image(self, scene: Array, of: Exposure) -> Array:
        """(b, b, b) float32: a scene (d, d, d) as its tomogram shows it, protein dark."""
        transfer = self._ctf(of) * self.signal
        return self.projector.reconstruct(self.projector.project(scene) * transfer)

    def noise(self, of: Exposure, rng: np.random.Generator) -> Array:
        """(b, b, b) float32 noise of expected variance one.

        Structural noise is drawn anew for each tilt: of the ice through which a tilt looks, all
        but the little within the box is other ice at the next tilt. Its power grows with the way.
        """
        power = exposure.noise_power(
            np.square(self._ctf(of) * self.ice) * self.path,
            np.square(self.shot),
            self.config.structural_noise,
            variance_of=self.projector.variance,
        )
        return self.projector.reconstruct(self.projector.white_noise(rng) * np.sqrt(power))

    def _ctf(self, of: Exposure) -> Array:
        defocus = exposure.defocus_at(of, self.projector.angles)
        return exposure.ctf(self.frequency, defocus, self.config)


def _frequencies(projector: Projector, voxel_spacing: float) -> Array:
    """(d, s) float32, 1/Å: radial frequency of every sample of the images' spectra."""
    along_y = fft.fftfreq(projector.edge, voxel_spacing)[:, None]
    across = projector.radius / (projector.edge * voxel_spacing)
    frequencies: Array = np.hypot(along_y, across).astype(np.float32)
    return frequencies
