"""Where the particles of a list are: in which file, and at which voxel or position of it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tomodistill.errors import InputError
from tomodistill.particles.coordinates import voxels
from tomodistill.particles.lists import ParticleList
from tomodistill.particles.options import SourceOptions
from tomodistill.subtomograms.preprocessing import Contrast
from tomodistill.subtomograms.spacing import same_spacing
from tomodistill.tomograms.boxes import BoxFile, listed_boxes
from tomodistill.tomograms.files import open_tomogram
from tomodistill.tomograms.finding import find_tomograms
from tomodistill.tomograms.relion import FoundTomogram
from tomodistill.tomograms.volume_file import naming


@dataclass(frozen=True)
class VolumesFile:
    """A tomogram, or a file of boxes."""

    path: Path
    voxel_spacing: float | None  # Å; None: nothing says it
    contrast: Contrast | None  # likewise
    edge: int = 0  # voxels of its boxes; 0: a tomogram
    shape: tuple[int, int, int] = (0, 0, 0)  # z, y, x of a tomogram


@dataclass(frozen=True)
class Placed:
    """The places of n particles, in the order of their list."""

    files: tuple[VolumesFile, ...]
    file: NDArray[np.int64]  # (n,) which of the files
    at: NDArray[np.float64]  # (n, 3) z, y, x of centres in voxels; positions in a file of boxes


@dataclass(frozen=True)
class KnownSpacing:
    """What a flag says of the voxels of files: it goes before headers and lists."""

    flag: str
    value: float = 0.0  # Å; 0: as headers and lists say


def place(particles: ParticleList, options: SourceOptions, known: KnownSpacing) -> Placed:
    """In the tomograms that the options name, or else in the boxes that the list names.

    Raises InputError for a list without what is needed, for files that are missing or no such
    volumes, and where a header and the list disagree on the voxel spacing.
    """
    placing = _in_tomograms if options.cropped else _in_boxes
    return placing(particles, options, known)


def rows_by_file(file: NDArray[np.integer]) -> list[NDArray[np.int64]]:
    """The rows of each file, of the files (n,) of all rows."""
    ends = np.cumsum(np.bincount(file))[:-1]
    return np.split(np.argsort(file, kind="stable"), ends)


def in_stack(position: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, 3) places of boxes by their position (n,) in a file."""
    return np.pad(position[:, None].astype(np.float64), ((0, 0), (0, 2)))


def _in_tomograms(particles: ParticleList, options: SourceOptions, known: KnownSpacing) -> Placed:
    if particles.tomograms is None or particles.positions is None:
        raise InputError(
            expected="a list that names tomograms and coordinates, since tomograms is given",
            found=f"{particles.dialect} without them: {particles.path}",
            todo="Leave tomograms out to read the list's boxes, or give another list.",
        )
    file, names = pd.factorize(particles.tomograms)
    found = find_tomograms(names, options.tomograms)
    files = tuple(_tomogram(found[name], options, known) for name in names)
    at = np.empty((len(particles), 3))
    for tomogram, rows in zip(files, rows_by_file(file), strict=True):
        with naming(tomogram.path):
            at[rows] = voxels(
                particles.positions,
                rows,
                shape=tomogram.shape,
                voxel_spacing=tomogram.voxel_spacing or np.nan,
                options=options.coordinates(),
            )
    return Placed(files, file.astype(np.int64), at)


def _tomogram(found: FoundTomogram, options: SourceOptions, known: KnownSpacing) -> VolumesFile:
    with open_tomogram(found.path, dataset=options.dataset_name) as file:
        spacing = _agreed(file.voxel_spacing, found.voxel_spacing, found.path, known)
        z, y, x = file.array.shape
        return VolumesFile(found.path, spacing, file.contrast, shape=(z, y, x))


def _in_boxes(particles: ParticleList, options: SourceOptions, known: KnownSpacing) -> Placed:
    if particles.images is None or particles.stacks_of_images:
        what = "stacks of 2-D images" if particles.stacks_of_images else "no boxes"
        raise InputError(
            expected="a list that names 3-D boxes (rlnImageName), or tomograms=",
            found=f"{what} in {particles.path} ({particles.dialect})",
            todo="Give the tomograms to crop from, tomograms=FOLDER or RELION's tomograms.star, or "
            "extract 3-D subtomograms.",
        )
    beside = particles.path.parent
    boxes = listed_boxes(particles.images, beside=beside, dataset=options.dataset_name)
    listed = _image_spacing(particles)
    files = tuple(box_volumes(box, known, listed=listed) for box in boxes.files)
    return Placed(files, boxes.file.astype(np.int64), in_stack(boxes.position))


def box_volumes(box: BoxFile, known: KnownSpacing, listed: float | None = None) -> VolumesFile:
    """A file of boxes, and its voxel spacing by flag, list (`listed`, Å) and header."""
    spacing = _agreed(box.voxel_spacing, listed, box.path, known)
    return VolumesFile(box.path, spacing, box.contrast, box.edge)


def _image_spacing(particles: ParticleList) -> float | None:
    """Å, where the list says one for all."""
    spacing = particles.image_spacing
    if spacing is None or np.isnan(spacing).any():
        return None
    if not same_spacing(spacing.min(), spacing.max()):
        raise InputError(
            expected="boxes of one voxel spacing",
            found=f"{spacing.min():.4g} to {spacing.max():.4g} Å: {particles.path}",
            todo="Give each optics group as a list of its own.",
        )
    return float(np.median(spacing))


def _agreed(
    header: float | None, listed: float | None, path: Path, known: KnownSpacing
) -> float | None:
    """Å of the voxels of a volume, of what flag, header and list say; None: none does."""
    if known.value:
        return known.value
    if header and listed and not same_spacing(header, listed):
        raise InputError(
            expected="a header and a list that state the same voxel spacing",
            found=f"{header:.4g} Å in the header, {listed:.4g} Å in the list: {path}",
            todo=f"Give {known.flag}= in Å.",
        )
    return listed or header  # headers are often rounded
