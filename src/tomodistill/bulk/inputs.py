"""Particle lists and boxes as users name them, and where in which file each particle is."""

import glob
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomodistill.bulk.config import BulkConfig
from tomodistill.bulk.job import PLACE, Listed
from tomodistill.bulk.reading import FILE_FIELDS
from tomodistill.errors import InputError
from tomodistill.particles.lists import ParticleList
from tomodistill.particles.options import NONE
from tomodistill.particles.placing import (
    VolumesFile,
    box_volumes,
    in_stack,
    place,
    rows_by_file,
)
from tomodistill.particles.reading import FOREIGN, LIST_SUFFIXES, read_particles
from tomodistill.tomograms.boxes import box_files
from tomodistill.tomograms.files import is_volume_name
from tomodistill.tomograms.named import by_comma
from tomodistill.tomograms.ome_zarr import is_zarr
from tomodistill.tomograms.stamps import file_stamp

BOXES = "boxes"  # dialect of what came without a list
_NEIGHBOURHOOD = 256  # voxels of its edge; for boxes, that many in a row
_BOXES_PER_LIST = 1_000_000  # of boxes without one: what is held in memory at a time


@dataclass(frozen=True)
class Input:
    """One list, each particle with its place."""

    listed: Listed
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
    names = by_comma(config.particles)
    if names in ([], [NONE]):
        raise InputError(
            expected="particles: particle lists or boxes",
            found="none",
            todo="Give for example particles=particles.star, or particles=boxes/*.mrc",
        )
    lists = {name: _lists(name) for name in names}
    boxes = [name for name, found in lists.items() if not found]
    if boxes and config.cropped:
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
    placed = place(particles, config, config.known_spacing)
    if config.cropped and config.border == "pad":
        for tomogram, rows in zip(placed.files, rows_by_file(placed.file), strict=True):
            _check_inside(placed.at[rows], rows, tomogram, particles)
    return Input(listed, _ordered(placed.file, placed.at), placed.files)


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


def _check_inside(
    at: NDArray[np.float64],
    rows: NDArray[np.int64],
    tomogram: VolumesFile,
    particles: ParticleList,
) -> None:
    outside = ~((at >= -0.5) & (at <= np.array(tomogram.shape) - 0.5)).all(axis=1)  # NaN is nowhere
    if not outside.any():
        return
    first = int(np.argmax(outside))
    where = ", ".join(f"{value:.1f}" for value in at[first, ::-1])
    size = " x ".join(map(str, tomogram.shape[::-1]))
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


def _of_boxes(where: str, config: BulkConfig) -> Iterator[Input]:
    """Boxes without a list, a million at a time."""
    boxes = box_files(where, dataset=config.dataset_name)
    files = [box_volumes(box, config.known_spacing) for box in boxes]
    counts = np.array([box.count for box in boxes])
    ends = np.cumsum(counts)
    for start in range(0, int(ends[-1]), _BOXES_PER_LIST):
        number = np.arange(start, min(start + _BOXES_PER_LIST, int(ends[-1])))
        file = np.searchsorted(ends, number, side="right")
        used, file_here = np.unique(file, return_inverse=True)
        at = in_stack(number - (ends - counts)[file])
        name = f"particles_{start // _BOXES_PER_LIST + 1:03d}" if start else "particles"
        listed = Listed(name, BOXES, len(number), "")
        yield Input(listed, _ordered(file_here, at), tuple(files[i] for i in used))


def _ordered(file: NDArray[Any], at: NDArray[np.float64]) -> NDArray[np.void]:
    """(n,) PLACE by file, then by neighbourhood, and within that as it lies on the disk.

    Zarr reads whole chunks, and keeps those of a neighbourhood, not those across a tomogram.
    """
    places = np.empty(len(file), PLACE)
    places["row"], places["file"], places["at"] = np.arange(len(file)), file, at
    nearest = np.rint(at)
    x, y, z = nearest.T[::-1]
    return places[np.lexsort((x, y, z, *(nearest // _NEIGHBOURHOOD).T[::-1], file))]
