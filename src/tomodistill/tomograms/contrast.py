"""Whether particles are darker or brighter than what surrounds them, by their own vote."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomodistill.subtomograms.preprocessing import Contrast

# Radii in edges: of the particle, and of what surrounds it. Of simulated items at the SNR of the
# scale `quick` 99 % vote right, at that of `paper` 96 %; a smaller core loses hollow particles.
_CORE, _SHELL = 0.25, (0.35, 0.5)
_CLEAR = 3.0  # standard deviations of as many tosses of a coin


@dataclass(frozen=True)
class Vote:
    """How many boxes are darker in the middle than around it, and how many brighter."""

    dark: int
    bright: int

    @property
    def verdict(self) -> Contrast | None:
        """None if as many tosses of a coin could well have come out so: fewer than 9 boxes do."""
        if abs(self.dark - self.bright) < _CLEAR * np.sqrt(max(self.dark + self.bright, 1)):
            return None
        return "dark" if self.dark > self.bright else "bright"


def vote_contrast(volumes: NDArray[np.float32]) -> Vote:
    """The vote of boxes (n, d, d, d), each about a particle.

    One box may be wrong, many are not. Boxes that are constant or hold NaN do not vote.
    """
    edge = volumes.shape[-1]
    axis = (np.arange(edge) - edge // 2) / edge
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    core = radius <= _CORE
    shell = (_SHELL[0] < radius) & (radius <= _SHELL[1])
    above = np.array(
        [box[core].mean(dtype=float) - box[shell].mean(dtype=float) for box in volumes]
    )
    return Vote(dark=int((above < 0).sum()), bright=int((above > 0).sum()))
