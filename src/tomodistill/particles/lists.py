"""What every particle list says, whatever program wrote it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Names = NDArray[np.object_]  # (n,) of str
Origin = Literal["corner", "centre"]  # of a tomogram, from which coordinates count


@dataclass(frozen=True)
class Positions:
    """Where particles are, as the list says; NaN where it does not."""

    values: NDArray[np.float64]  # (n, 3) z, y, x; voxels, or Å where `in_angstrom`
    in_angstrom: bool
    origin: Origin
    spacing: NDArray[np.float64]  # (n,) Å of the voxels in which `values` count; 1 for Å
    offsets: NDArray[np.float64]  # (n, 3) z, y, x: what refinement takes off `values`
    offset_spacing: NDArray[np.float64]  # (n,) likewise for `offsets`; NaN: those of `values`


@dataclass(frozen=True)
class ParticleList:
    """A list of n particles, with every column and block of the file it came in."""

    path: Path
    dialect: str  # whose, in words: "RELION 5"
    blocks: Mapping[str, pd.DataFrame]  # all of them, cells as text as they stood, quotes and all
    block: str  # the one of them that lists particles
    ids: Names  # unique
    tomograms: Names | None = None  # name of the tomogram that each lies in
    positions: Positions | None = None
    images: Names | None = None  # file of each one's box, as listed: "7@stack.mrcs", "box.mrc"
    image_spacing: NDArray[np.float64] | None = None  # (n,) Å, of the boxes' voxels
    # (n, 3) rot, tilt, psi in the tomogram's frame: degrees, as RELION's
    angles: NDArray[np.float64] | None = None
    classes: Names | None = None  # what the list calls each one's class
    stacks_of_images: bool = False  # its "subtomograms" are stacks of 2-D images (RELION 5)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Classified:
    """What became of the n particles of a list, in its order."""

    names: tuple[
        str, ...
    ]  # of class numbers 1, 2, ...; "unknown" and "not_classified" are the last
    numbers: NDArray[np.int64]  # (n,) class numbers
    probabilities: NDArray[np.float32]  # (n,) of the most probable class; 0 if not classified
    scores: (
        NDArray[np.float64] | None
    )  # (n,) see `inference.confidence.Unknown`; None: no rejection
