"""What is to become a subtomogram set: the one home of the defaults."""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from tomodistill.errors import InputError
from tomodistill.particles.options import AUTO, NONE, SourceOptions
from tomodistill.particles.placing import KnownSpacing
from tomodistill.subtomograms.items import Storage
from tomodistill.tomograms.named import by_comma

UNKNOWN = "unknown"
_NUMBERS = ("box", "voxel_spacing", "file_spacing", "seed")


@dataclass(frozen=True)
class Ingestion(SourceOptions):
    """`ingest` has it as flags; `particles` may be a folder with one folder of boxes per class."""

    class_names: str = AUTO  # to keep, as "1:ribosome,2:p97"; auto: all as found; none: no labels
    box: int = 0  # voxels to store; 0: as the files have it
    voxel_spacing: float = 0.0  # Å to store, by a Fourier crop of finer boxes; 0: as in the files
    file_spacing: float = 0.0  # Å, of tomograms or boxes; 0: as their headers and lists say
    tilt_range: str = UNKNOWN  # degrees, as "-60,60"; the tilt axis is along y
    storage: Storage = "float32"  # "float32", or "float16" for half the disk
    seed: int = 0  # of the draw for train, val and test

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("storage", self.storage in get_args(Storage), " or ".join(get_args(Storage)))
        for name in _NUMBERS:
            self._check(name, 0 <= getattr(self, name) < np.inf, "a number of 0 or more")
        self._check(
            "class_names", self.names is not None, "CLASS:NAME,..., CLASS as found, each name once"
        )
        self._check("tilt_range", self._tilts is not None, "degrees, as -60,60, or unknown")

    def _check(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise InputError(
                expected=f"{name}: {expected}",
                found=f"{name}={getattr(self, name)}",
                todo=f"Give another {name}.",
            )

    @property
    def known_spacing(self) -> KnownSpacing:
        """What the flag says of the files."""
        return KnownSpacing("file_spacing", self.file_spacing)

    @property
    def source(self) -> str:
        """What is ingested, wherever it lies."""
        return ", ".join(Path(part).name for part in by_comma(self.particles))

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
