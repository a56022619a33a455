"""The volume files that a user's words stand for: folders, patterns, files by comma."""

import os
import re
from collections.abc import Iterable, Iterator
from glob import glob
from pathlib import Path

from tomodistill.errors import InputError
from tomodistill.tomograms.files import is_volume_name
from tomodistill.tomograms.ome_zarr import is_zarr


def by_comma(where: str) -> list[str]:
    """Names and patterns; what is there as it stands may have commas in its own name."""
    parts = [where] if os.path.exists(where) else where.split(",")  # Path raises for a long list
    return [part.strip() for part in parts if part.strip()]


def named_files(where: str, *, deep: bool = False) -> list[Path]:
    """Volume files in the natural order of their names: those of a folder, with `deep` of folders
    in it too, and of files and patterns by comma.

    Raises InputError for a part of `where` that names none.
    """
    found: dict[Path, None] = {}
    for part in by_comma(where) or [where]:
        files = sorted(_of_part(part, deep), key=_natural)
        if not files:
            raise InputError(
                expected="volume files",
                found=f"none: {Path(part).absolute()}",
                todo="Correct the name of the file, folder or pattern (folders within: */*.mrc).",
            )
        found |= dict.fromkeys(files)
    return list(found)


def located(name: str, folder: Path) -> Path | None:
    """The file that a list in `folder` names: from here, from there, or from a folder above it,
    such as the project's. None if there is none.
    """
    places = (Path(), folder, *folder.absolute().parents)
    return next((place / name for place in places if (place / name).exists()), None)


def _of_part(part: str, deep: bool) -> Iterable[Path]:
    path = Path(part)
    if path.is_dir() and not is_zarr(path):
        return volumes_in(path, deep=deep)
    return [path] if path.exists() else map(Path, glob(part, recursive=True))


def volumes_in(folder: Path, *, deep: bool = False) -> Iterator[Path]:
    """The volume files of a folder; with `deep`, of folders in it too.

    A Zarr store counts as a file: there may be a million in it. Nothing hidden counts: macOS
    writes ._TS_1.mrc beside TS_1.mrc, and file servers keep yesterday's files in .snapshot.
    """
    for here, folders, files in os.walk(folder):
        folders[:] = _seen(folders)
        stores = [name for name in folders if is_zarr(Path(here, name))]
        named = (name for name in (*stores, *_seen(files)) if is_volume_name(Path(name)))
        yield from (Path(here, name) for name in named)
        folders[:] = [name for name in folders if deep and name not in stores]


def _seen(names: Iterable[str]) -> list[str]:
    return [name for name in names if not name.startswith(".")]


def _natural(path: Path) -> list[tuple[str, int]]:
    """TS_2 before TS_10."""
    parts = re.findall(r"(\D*)(\d*)", str(path))
    return [(text, int(number or 0)) for text, number in parts]
