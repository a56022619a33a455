"""Experimental subtomograms where they lie: boxes in files, or particles in tomograms."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomodistill.errors import InputError
from tomodistill.ingestion.config import Ingestion
from tomodistill.particles.agreement import one_contrast, one_spacing
from tomodistill.particles.lists import Names
from tomodistill.particles.placing import Placed, VolumesFile
from tomodistill.subtomograms.preprocessing import Contrast
from tomodistill.subtomograms.row_file import rows_per_block
from tomodistill.tomograms.boxes import read_boxes
from tomodistill.tomograms.cropping import Crops, crop
from tomodistill.tomograms.files import open_volume
from tomodistill.tomograms.volume_file import VolumeFile

_DIGITS = 4  # of Å: what a header rounds to float32 is the same in every set
_ONE_SET_EACH = "Ingest them one after the other, and train on both sets, data=ONE,OTHER"
NO_CLASS = ""  # of an item that is not labelled
NO_TOMOGRAM = ""  # of an item that comes from nobody knows where


@dataclass(frozen=True)
class Found:
    """n subtomograms, ordered as they lie on the disk, and what is said of each."""

    files: tuple[Path, ...]
    file: NDArray[np.int64]  # (n,) which of the files
    at: NDArray[np.float64]  # (n, 3) z, y, x of the centre in voxels; position in a file of boxes
    edge: int  # voxels of the boxes; 0: they are cropped from tomograms
    voxel_spacing: float  # Å
    contrast: Contrast | None  # None: not stated
    ids: Names  # (n,) unique
    classes: Names  # (n,) what the source calls the class; NO_CLASS
    tomograms: Names  # (n,) NO_TOMOGRAM
    angles: NDArray[np.float64]  # (n, 3) rot, tilt, psi: degrees, as RELION's; NaN: not known

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[np.int64]) -> "Found":
        """Those at the positions `rows` alone."""
        names = ("file", "at", "ids", "classes", "tomograms", "angles")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


def read_found(
    found: Found, edge: int, config: Ingestion, *, start: int = 0
) -> Iterator[tuple[int, Crops]]:
    """Position of the first, and boxes (m, e, e, e) as they lie, block by block from `start` on.

    Of larger boxes than `edge` voxels the middle is taken. One file is open at a time.
    """
    changes = np.flatnonzero(np.diff(found.file[start:])) + 1 + start
    size = rows_per_block(4 * max(edge, found.edge) ** 3)
    for first, last in pairwise([start, *changes.tolist(), len(found)]):
        path = found.files[found.file[first]]
        with open_volume(path, dataset=config.dataset_name) as file:
            for row in range(first, last, size):
                rows = slice(row, min(row + size, last))
                with file.reading():
                    crops = _read(file, found, rows, edge, config)
                yield row, crops


def _read(file: VolumeFile, found: Found, rows: slice, edge: int, config: Ingestion) -> Crops:
    at = found.at[rows]
    if not found.edge:
        return crop(file.array, at, edge=edge, options=config.cropping())
    positions, mirrored = at[:, 0].astype(np.int64), config.handedness == "mirrored"
    volumes = read_boxes(file, positions, edge=edge, mirrored=mirrored)
    return Crops(volumes, np.zeros(len(at)), np.ones(len(at), bool))


def found_places(
    placed: Placed,
    *,
    ids: Names,
    classes: Names,
    tomograms: Names,
    config: Ingestion,
    angles: NDArray[np.float64] | None = None,
) -> Found:
    """n subtomograms where they were placed, and what is known of each.

    Raises InputError for files of several box sizes, voxel spacings or contrasts.
    """
    files = placed.files
    _check_edges(files)
    found = Found(
        files=tuple(file.path for file in files),
        file=placed.file,
        at=placed.at,
        edge=files[0].edge,
        voxel_spacing=_spacing(files, config),
        contrast=one_contrast(
            {file.contrast for file in files}, config.contrast, instead=_ONE_SET_EACH
        ),
        ids=ids,
        classes=classes,
        tomograms=tomograms,
        angles=np.full((len(ids), 3), np.nan) if angles is None else angles,
    )
    return found.take(np.lexsort((*placed.at.T[::-1], placed.file)))


def common_folder(paths: Sequence[Path]) -> Path:
    """The lowest one in which all of these files lie."""
    return Path(os.path.commonpath([path.absolute().parent for path in paths]))


def relative_name(path: Path, folder: Path) -> str:
    """Of a file, as seen from a folder above it: the same on every machine."""
    return path.absolute().relative_to(folder.absolute()).as_posix()


def _check_edges(files: Sequence[VolumesFile]) -> None:
    for other in files[1:]:
        if other.edge != files[0].edge:
            raise InputError(
                expected=f"boxes of one size: {files[0].edge} voxels as in {files[0].path}",
                found=f"{other.edge} voxels in {other.path}",
                todo=f"{_ONE_SET_EACH}, with box= the same.",
            )


def _spacing(files: Sequence[VolumesFile], config: Ingestion) -> float:
    """Å of all files; where none states any, `voxel_spacing` is theirs as well."""
    stated = {file.voxel_spacing: file.path for file in files}
    if config.voxel_spacing and set(stated) == {None}:
        return config.voxel_spacing
    alike = f"{_ONE_SET_EACH}, with box= and voxel_spacing= the same"
    return round(one_spacing(stated, config.known_spacing, instead=alike), _DIGITS)
