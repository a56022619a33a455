"""What is to become a subtomogram set: the one home of the defaults."""

from dataclasses import dataclass
from typing import get_args

import numpy as np

from tomodistill.errors import InputError
from tomodistill.particles.coordinates import Centre, Coordinates
from tomodistill.subtomograms.items import Storage
from tomodistill.subtomograms.preprocessing import Contrast
from tomodistill.tomograms.cropping import Border, Cropping

NONE, AUTO, UNKNOWN = "none", "auto", "unknown"
_CHOICES = {
    "contrast": (AUTO, *get_args(Contrast)),
    "handedness": ("same", "mirrored"),
    "border": get_args(Border),
    "position": ("rounded", "subvoxel"),
    "storage": get_args(Storage),
}
_NUMBERS = ("box", "voxel_spacing", "file_spacing", "seed")


@dataclass(frozen=True)
class Ingestion:
    """Where subtomograms are and how they are read; `ingest` has it as flags."""

    particles: str = NONE  # a folder with one folder per class, boxes, or a particle list
    tomograms: str = NONE  # folder, pattern or RELION's tomograms.star; none: the boxes of the list
    class_names: str = AUTO  # to keep, as "1:ribosome,2:p97"; auto: all as found; none: no labels
    box: int = 0  # voxels to store; 0: as the files have it
    voxel_spacing: float = 0.0  # Å to store, by a Fourier crop of finer boxes; 0: as in the files
    file_spacing: float = 0.0  # Å, of tomograms or boxes; 0: as their headers and lists say
    contrast: str = AUTO  # dark or bright particles; auto: as stated, else by vote
    tilt_range: str = UNKNOWN  # degrees, as "-60,60"; the tilt axis is along y
    handedness: str = "same"  # of tomograms or boxes as in nature; or "mirrored": z is turned round
    border: Border = "pad"  # boxes that reach out of the tomogram: pad (with their mean) or drop
    position: str = "rounded"  # to whole voxels; or "subvoxel"
    coordinate_spacing: float = 0.0  # Å of the voxels that lists count in; 0: as they say
    centre: Centre = Coordinates.centre  # of a tomogram of even size, see the manual
    origins: bool = True  # take the list's origins (refined shifts) into account
    dataset: str = AUTO  # within HDF5 and Zarr files; auto: the only one
    storage: Storage = "float32"  # "float32", or "float16" for half the disk
    seed: int = 0  # of the draw for train, val and test

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            self._check(name, getattr(self, name) in known, " or ".join(known))
        for name in _NUMBERS:
            self._check(name, 0 <= getattr(self, name) < np.inf, "a number of 0 or more")
        self._check("class_names", self.names is not None, "NUMBER:NAME,..., each name once")
        self._check("tilt_range", self._tilts is not None, "degrees, as -60,60, or unknown")
        self.coordinates()

    def _check(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise InputError(
                expected=f"{name}: {expected}",
                found=f"{name}={getattr(self, name)}",
                todo=f"Give another {name}.",
            )

    @property
    def names(self) -> dict[str, str] | None:
        """What a source calls a class -> its name; empty where none is named, None for nonsense."""
        if self.class_names in (AUTO, NONE):
            return {}
        pairs = [pair.partition(":") for pair in self.class_names.split(",")]
        names = {found.strip(): name.strip() for found, _, name in pairs}
        once = len(names) == len(pairs) == len(set(names.values()))
        return names if once and all(names) and all(names.values()) else None

    @property
    def tilts(self) -> tuple[float, float]:
        """Smallest and largest tilt in degrees, NaN where unknown."""
        return self._tilts or (np.nan, np.nan)

    @property
    def _tilts(self) -> tuple[float, float] | None:
        """None for what is no range of tilts."""
        if self.tilt_range == UNKNOWN:
            return np.nan, np.nan
        try:
            low, high = map(float, self.tilt_range.split(","))
        except ValueError:
            return None
        return (low, high) if -90 <= low < high <= 90 else None

    @property
    def dataset_name(self) -> str:
        """Within HDF5 and Zarr files; "": the only one."""
        return "" if self.dataset == AUTO else self.dataset

    def coordinates(self) -> Coordinates:
        """How lists are read. Raises InputError for what no list can mean."""
        return Coordinates(
            coordinate_spacing=self.coordinate_spacing, centre=self.centre, origins=self.origins
        )

    def cropping(self) -> Cropping:
        """How boxes are cut out."""
        return Cropping(
            border=self.border,
            subvoxel=self.position == "subvoxel",
            mirrored=self.handedness == "mirrored",
        )
