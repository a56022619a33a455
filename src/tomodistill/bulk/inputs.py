"""Particle lists and boxes as users name them, and where in which file each particle is."""

import glob
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tomodistill.bulk.config import NONE, BulkConfig
from tomodistill.bulk.job import PLACE, Listed
from tomodistill.bulk.reading import FILE_FIELDS, file_stamp
from tomodistill.errors import InputError
from tomodistill.particles.coordinates import voxels
from tomodistill.particles.lists import ParticleList
from tomodistill.particles.reading import FOREIGN, LIST_SUFFIXES, read_particles
from tomodistill.subtomograms.preprocessing import Contrast
from tomodistill.subtomograms.spacing import same_spacing
from tomodistill.tomograms.boxes import box_files, listed_boxes
from tomodistill.tomograms.files import is_volume_name, open_tomogram
from tomodistill.tomograms.finding import find_tomograms
from tomodistill.tomograms.ome_zarr import is_zarr
from tomodistill.tomograms.relion import FoundTomogram

BOXES = "boxes"  # dialect of what came without a list
_NEIGHBOURHOOD = 256  # voxels of its edge; for boxes, that many in a row
_BOXES_PER_LIST = 1_000_000  # of boxes without one: what is held in memory at a time


@dataclass(frozen=True)
class VolumesFile:
    """A tomogram, or a file of boxes, when the job is planned."""

    path: Path
    voxel_spacing: float | None  # Å; None: nothing says it
    contrast: Contrast | None  # likewise
    edge: int = 0  # voxels of its boxes; 0: a tomogram


@dataclass(frozen=True)
class Input:
    """One list, each particle with its place."""

    listed: Listed
    cropped: bool  # from tomograms; else `files` hold boxes
    places: NDArray[np.void]  # (n,) PLACE, in the order of work
    files: tuple[VolumesFile, ...]

    def file_table(self) -> NDArray[np.void]:
        """(f,) what workers must know of the files, to be mapped into memory."""
        paths = [os.fsencode(file.path.absolute()) for file in self.files]
        longest = max(map(len, paths))
        table = np.zeros(len(paths), np.dtype([("path", f"S{longest}"), *FILE_FIELDS]))
        table["path"] = paths
        stamps = np.array([file_stamp(file.path) for file in self.files])
        table["size"], table["changed"] = stamps.T
        return table


def read_inputs(config: BulkConfig) -> Iterator[Input]:
    """What `config.particles` names, list by list.

    Raises InputError for what is not there, cannot be read, or does not lie in its tomogram.
    """
    names = [name.strip() for name in config.particles.split(",") if name.strip()]
    if names in ([], [NONE]):
        raise InputError(
            expected="particles: particle lists or boxes",
            found="none",
            todo="Give for example particles=particles.star, or particles=boxes/*.mrc",
        )
    lists = {name: _lists(name) for name in names}
    boxes = [name for name, found in lists.items() if not found]
    if boxes and config.tomograms != NONE:
        raise InputError(
            expected="particle lists, since tomograms is given",
            found=f"none: {boxes[0]}",
            todo="Correct particles=, or leave tomograms out if these are boxes.",
        )
    for path in dict.fromkeys(chain.from_iterable(lists.values())):
        yield _of_list(read_particles(path), config)
    if boxes:
        yield from _of_boxes(",".join(boxes), config)


def _lists(name: str) -> list[Path]:
    """The particle lists among what a name stands for; none if it stands for boxes."""
    folder = Path(name)
    if is_zarr(folder):
        return []
    found = list(folder.iterdir() if folder.is_dir() else map(Path, glob.glob(name) or [name]))
    if lists := _of_kinds(found, LIST_SUFFIXES):
        return lists
    boxes = any(is_volume_name(path) for path in found)  # perhaps with a table beside them
    return [] if boxes else _of_kinds(found, FOREIGN)  # these are named when they are refused


def _of_kinds(paths: list[Path], suffixes: Collection[str]) -> list[Path]:
    return sorted(path for path in paths if path.suffix.partition("?")[0] in suffixes)


def _of_list(particles: ParticleList, config: BulkConfig) -> Input:
    listed = Listed(
        str(particles.path.absolute()),
        particles.dialect,
        len(particles),
        _stamp(particles.path),
    )
    if config.tomograms == NONE:
        return _in_boxes(particles, listed, config)
    return _in_tomograms(particles, listed, config)


def check_unchanged(listed: Listed) -> None:
    """Raises InputError if a list is not as it was when the job was planned."""
    if listed.stamp and listed.stamp != _stamp(Path(listed.path)):
        raise InputError(
            expected="lists as they were when the job was planned",
            found=f"a changed or missing one: {listed.path}",
            todo="Put it back, or plan anew with another out=FOLDER.",
        )


def _stamp(path: Path) -> str:
    """By which a list is known to be unchanged; "" if there is none."""
    return " ".join(map(str, file_stamp(path))) if path.exists() else ""


def _in_tomograms(particles: ParticleList, listed: Listed, config: BulkConfig) -> Input:
    if particles.tomograms is None or particles.positions is None:
        raise InputError(
            expected="a list that names tomograms and coordinates, since tomograms is given",
            found=f"{particles.dialect} without them: {particles.path}",
            todo="Leave tomograms out to read the list's boxes, or give another list.",
        )
    file, names = pd.factorize(particles.tomograms)
    found = find_tomograms(names, config.tomograms)
    at = np.empty((len(particles), 3))
    files = []
    ends = np.cumsum(np.bincount(file))[:-1]
    by_tomogram = np.split(np.argsort(file, kind="stable"), ends)
    for name, rows in zip(names, by_tomogram, strict=True):
        tomogram, shape = _tomogram(found[name], config)
        files.append(tomogram)
        at[rows] = voxels(
            particles.positions,
            rows,
            shape=shape,
            voxel_spacing=tomogram.voxel_spacing or np.nan,
            options=config.coordinates(),
        )
        if config.border == "pad":
            _check_inside(at[rows], rows, shape, tomogram, particles)
    return Input(listed, True, _ordered(file, at), tuple(files))


def _tomogram(found: FoundTomogram, config: BulkConfig) -> tuple[VolumesFile, tuple[int, int, int]]:
    with open_tomogram(found.path, dataset=config.dataset_name) as file:
        stated = _agreed(file.voxel_spacing, found.voxel_spacing, found.path, config)
        z, y, x = file.array.shape
        return VolumesFile(found.path, stated, file.contrast), (z, y, x)


def _agreed(
    header: float | None, listed: float | None, path: Path, config: BulkConfig
) -> float | None:
    """Å of the voxels of a volume, of what its header and its list say; a flag goes before both."""
    if config.voxel_spacing:
        return config.voxel_spacing
    if header and listed and not same_spacing(header, listed):
        raise InputError(
            expected="a header and a list that state the same voxel spacing",
            found=f"{header:.4g} Å in the header, {listed:.4g} Å in the list: {path}",
            todo="Give voxel_spacing= in Å.",
        )
    return listed or header  # headers are often rounded


def _check_inside(
    at: NDArray[np.float64],
    rows: NDArray[np.int64],
    shape: tuple[int, int, int],
    tomogram: VolumesFile,
    particles: ParticleList,
) -> None:
    outside = ~((at >= -0.5) & (at <= np.array(shape) - 0.5)).all(axis=1)  # NaN is nowhere
    if not outside.any():
        return
    first = int(np.argmax(outside))
    where = ", ".join(f"{value:.1f}" for value in at[first, ::-1])
    size = " x ".join(map(str, shape[::-1]))
    raise InputError(
        expected=f"coordinates within the tomogram of {size} voxels (x, y, z)",
        found=f"{outside.sum()} of {len(rows)} particles outside of {tomogram.path.name}; "
        f"the first, {particles.ids[rows[first]]} of {particles.path}, at voxel {where}",
        todo=f"{_todo(particles, tomogram)}; border=drop leaves such particles out.",
    )


def _todo(particles: ParticleList, tomogram: VolumesFile) -> str:
    if particles.positions is not None and particles.positions.in_angstrom:
        return f"If its voxels are not {tomogram.voxel_spacing:.4g} Å wide, give voxel_spacing="
    return "If the list counts in other voxels than it has, give coordinate_spacing= (Å of them)"


def _in_boxes(particles: ParticleList, listed: Listed, config: BulkConfig) -> Input:
    if particles.stacks_of_images:
        raise InputError(
            expected="boxes, three-dimensional subtomograms",
            found=f"stacks of 2-D images ({particles.dialect}): {particles.path}",
            todo="Give the tomograms to crop from with tomograms=, or extract 3-D subtomograms.",
        )
    if particles.images is None:
        raise InputError(
            expected="a list that names boxes (rlnImageName), or tomograms=",
            found=f"{particles.dialect} without them: {particles.path}",
            todo="Give the tomograms with tomograms=FOLDER.",
        )
    boxes = listed_boxes(
        particles.images, beside=particles.path.parent, dataset=config.dataset_name
    )
    spacing = _image_spacing(particles)
    files = tuple(
        VolumesFile(
            box.path, _agreed(box.voxel_spacing, spacing, box.path, config), box.contrast, box.edge
        )
        for box in boxes.files
    )
    return Input(listed, False, _ordered(boxes.file, _in_stack(boxes.position)), files)


def _image_spacing(particles: ParticleList) -> float | None:
    """Å, where the list says one for all."""
    spacing = particles.image_spacing
    if spacing is None or np.isnan(spacing).any():
        return None
    if not same_spacing(spacing.min(), spacing.max()):
        raise InputError(
            expected="boxes of one voxel spacing",
            found=f"{spacing.min():.4g} to {spacing.max():.4g} Å: {particles.path}",
            todo="Classify each optics group in a job of its own.",
        )
    return float(np.median(spacing))


def _of_boxes(where: str, config: BulkConfig) -> Iterator[Input]:
    """Boxes without a list, a million at a time."""
    boxes = box_files(where, dataset=config.dataset_name)
    files = [
        VolumesFile(box.path, config.voxel_spacing or box.voxel_spacing, box.contrast, box.edge)
        for box in boxes
    ]
    counts = np.array([box.count for box in boxes])
    ends = np.cumsum(counts)
    for start in range(0, int(ends[-1]), _BOXES_PER_LIST):
        number = np.arange(start, min(start + _BOXES_PER_LIST, int(ends[-1])))
        file = np.searchsorted(ends, number, side="right")
        used, file_here = np.unique(file, return_inverse=True)
        at = _in_stack(number - (ends - counts)[file])
        name = f"particles_{start // _BOXES_PER_LIST + 1:03d}" if start else "particles"
        listed = Listed(name, BOXES, len(number), "")
        yield Input(listed, False, _ordered(file_here, at), tuple(files[i] for i in used))


def _in_stack(position: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, 3) with the position in front."""
    return np.pad(position[:, None].astype(np.float64), ((0, 0), (0, 2)))


def _ordered(file: NDArray[Any], at: NDArray[np.float64]) -> NDArray[np.void]:
    """(n,) PLACE by file, then by neighbourhood, and within that as it lies on the disk.

    Zarr reads whole chunks, and keeps those of a neighbourhood, not those across a tomogram.
    """
    places = np.empty(len(file), PLACE)
    places["row"], places["file"], places["at"] = np.arange(len(file)), file, at
    nearest = np.rint(at)
    x, y, z = nearest.T[::-1]
    return places[np.lexsort((x, y, z, *(nearest // _NEIGHBOURHOOD).T[::-1], file))]
