"""Subtomograms as files: one box in each, or stacks of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tomodistill.errors import InputError, few
from tomodistill.subtomograms.preprocessing import Contrast
from tomodistill.tomograms.files import open_volume
from tomodistill.tomograms.named import located, named_files
from tomodistill.tomograms.volume_file import VolumeFile, refusal

_EXTRACT = (
    "Extract 3-D subtomograms (RELION 5: write output as 2D stacks: No), or give the tomograms "
    "with tomograms= and crop at the list's coordinates."
)


@dataclass(frozen=True)
class BoxFile:
    """A file of cubic boxes, and what it says of them."""

    path: Path
    count: int
    edge: int  # voxels
    voxel_spacing: float | None  # Å; None: not stated
    contrast: Contrast | None  # None: not stated


@dataclass(frozen=True)
class ListedBoxes:
    """Where each of n listed boxes is."""

    files: tuple[BoxFile, ...]
    file: NDArray[np.int32]  # (n,) index into `files`
    position: NDArray[np.int64]  # (n,) in that file, counted from 0


def box_files(where: str, *, dataset: str = "") -> tuple[BoxFile, ...]:
    """The boxes of a folder, or of files and patterns by comma, in the natural order of names.

    `dataset` as in `open_volume`. Raises InputError for what is no file of cubic boxes.
    """
    return tuple(_box_file(path, dataset) for path in named_files(where))


def listed_boxes(images: NDArray[np.object_], *, beside: Path, dataset: str = "") -> ListedBoxes:
    """The boxes of a list's image names (n,): "box.mrc", or "7@stack.mrc", counted from 1.

    Names count from here, from the list's folder (`beside`), or from one above it. Raises
    InputError for files that are missing or no boxes, and for positions that are not in them.
    """
    parts = [_parts(name) for name in images]
    file, names = pd.factorize(np.array([name for _, name in parts], object))
    files = tuple(_box_file(path, dataset) for path in _there(names.tolist(), beside))
    position = np.array([int(number or 0) - 1 for number, _ in parts], np.int64)
    counts = np.array([each.count for each in files], np.int64)[file]
    numbered = np.array([bool(number) for number, _ in parts])
    _check_positions(images, position, counts, numbered=numbered)
    return ListedBoxes(files, file.astype(np.int32), np.maximum(position, 0))


def read_boxes(
    file: VolumeFile, positions: NDArray[np.int64], *, edge: int, mirrored: bool = False
) -> NDArray[np.float32]:
    """(m, e, e, e) the middle of the boxes at those positions of an opened file, in their order.

    `mirrored`: turned round along z. What float32 cannot hold becomes infinite: callers look.
    Raises InputError if the file has no such boxes any more.
    """
    count, whole = _count(file), int(file.array.shape[-1])
    if positions.max(initial=-1) >= count or edge > whole:
        wanted = f"{positions.max(initial=-1) + 1} boxes of {edge} voxels or more"
        todo = "It has changed: try again."
        raise refusal(file.path, wanted, f"{count} of {whole}", todo)
    first = (whole - edge) // 2
    middle = (slice(first, first + edge),) * 3
    boxes = np.empty((len(positions), edge, edge, edge), np.float32)
    with np.errstate(over="ignore"):
        for box, position in zip(boxes, positions.tolist(), strict=True):
            box[...] = file.array[(position, *middle) if file.holds == "volumes" else middle]
    return boxes[:, ::-1] if mirrored else boxes


def _box_file(path: Path, dataset: str) -> BoxFile:
    with open_volume(path, dataset=dataset) as opened:
        _check_boxes(opened)
        edge = int(opened.array.shape[-1])
        return BoxFile(path, _count(opened), edge, opened.voxel_spacing, opened.contrast)


def _count(opened: VolumeFile) -> int:
    return int(opened.array.shape[0]) if opened.holds == "volumes" else 1


def _check_boxes(opened: VolumeFile) -> None:
    shape = tuple(opened.array.shape)
    if opened.holds == "images":
        raise refusal(opened.path, "boxes", f"a stack of {shape[0]} 2-D images", _EXTRACT)
    if len(set(shape[-3:])) > 1:
        todo = "A stack of boxes in .mrc has ISPG 401 and MZ of d. To crop from it, use tomograms=."
        raise refusal(opened.path, "boxes (d, d, d) or (n, d, d, d)", f"shape {shape}", todo)


def _there(names: list[str], folder: Path) -> Iterator[Path]:
    paths = {name: located(name, folder) for name in names}
    missing = [name for name, path in paths.items() if path is None]
    if missing:
        raise InputError(
            expected=f"the files that the list in {folder} names",
            found=f"none of {few(missing)}, here or in a folder above it",
            todo="Put them where the names say, counted from the list's folder or one above it, or "
            "give the tomograms to crop from, tomograms=.",
        )
    return (path for path in paths.values() if path)


def _parts(image: str) -> tuple[str, str]:
    """Number, or "", and file; names of folders may have an @ too."""
    number, _, name = image.partition("@")
    return (number, name) if number.isdecimal() and name else ("", image)


def _check_positions(
    images: NDArray[np.object_],
    position: NDArray[np.int64],
    counts: NDArray[np.int64],
    *,
    numbered: NDArray[np.bool_],
) -> None:
    wrong = (position >= counts) | (position < 0) & (numbered | (counts > 1))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            expected=f"one of the {counts[row]} boxes of a file, 1@FILE the first",
            found=f"{images[row]}",
            todo="Correct the list.",
        )
