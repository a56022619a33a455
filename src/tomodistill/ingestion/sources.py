"""Experimental subtomograms as people have them: folders of boxes, and particle lists."""

import os
import sys
from collections.abc import Iterator, Sequence
from glob import glob
from pathlib import Path

import numpy as np

from tomodistill.errors import InputError, few
from tomodistill.ingestion.config import Ingestion
from tomodistill.ingestion.found import (
    NO_CLASS,
    NO_TOMOGRAM,
    Found,
    common_folder,
    found_places,
    relative_name,
)
from tomodistill.ingestion.listed import find_listed
from tomodistill.particles.options import NONE
from tomodistill.particles.placing import Placed, box_volumes, in_stack
from tomodistill.particles.reading import FOREIGN, LIST_SUFFIXES, read_particles
from tomodistill.tomograms.boxes import BoxFile, box_files
from tomodistill.tomograms.named import by_comma, volumes_in
from tomodistill.tomograms.ome_zarr import is_zarr

UNLABELLED_FOLDER = "unlabelled"  # beside those of the classes


def find_subtomograms(config: Ingestion) -> Found:
    """What `config.particles` names: a particle list, a folder with one folder per class, or boxes.

    A folder within that of a class has the boxes of one tomogram. Raises InputError for what is not
    there, cannot be read, or does not fit together.
    """
    path = Path(config.particles)
    if config.particles == NONE:
        raise InputError(
            expected="particles: a folder with one folder per class, boxes, or a particle list",
            found=f"particles={NONE}",
            todo="Give for example particles=FOLDER, or particles=particles.star",
        )
    if lists := _lists(config.particles):
        return find_listed([read_particles(each) for each in lists], config)
    folders = _folders(path) if os.path.isdir(path) and not is_zarr(path) else []
    return _of_classes(path, folders, config) if folders else _unlabelled(config)


def _lists(particles: str) -> list[Path]:
    """The particle lists that names and patterns by comma stand for; none where any is not one."""
    paths = [Path(path) for name in by_comma(particles) for path in sorted(glob(name)) or [name]]
    are_lists = (
        path.suffix.partition("?")[0] in (*LIST_SUFFIXES, *FOREIGN)  # ? picks of a copick project
        and not path.is_dir()
        for path in paths
    )
    return list(dict.fromkeys(paths)) if all(are_lists) else []


def _folders(path: Path) -> list[Path]:
    """Those that hold something of their own: no hidden ones, no Zarr stores."""
    inside = (each for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))
    return sorted(each for each in inside if not is_zarr(each))


def _of_classes(path: Path, folders: Sequence[Path], config: Ingestion) -> Found:
    if loose := sorted(each.name for each in volumes_in(path)):
        words = "volumes beside the folders of the classes are not read"
        print(f"{words}: {few(loose)}", file=sys.stderr)
    places = [place for folder in folders for place in _places(folder, config)]
    files = [file for _, _, of_place in places for file in of_place]
    names = [(name, tomogram) for name, tomogram, of_place in places for _ in of_place]
    return _of_files(files, names, path, config)


def _places(folder: Path, config: Ingestion) -> Iterator[tuple[str, str, Sequence[BoxFile]]]:
    """Class, tomogram and files of a class's folder, and of those within it.

    Raises InputError for folders within these: what lies there would be nowhere.
    """
    name = NO_CLASS if folder.name == UNLABELLED_FOLDER else folder.name
    inside = _folders(folder)
    if deeper := [str(deep) for each in inside for deep in _folders(each)]:
        raise InputError(
            expected="folders of classes, and within them folders of one tomogram each",
            found=f"deeper ones: {few(deeper)}",
            todo="Move their boxes up, or the folders away.",
        )
    if not inside or any(volumes_in(folder)):
        yield name, NO_TOMOGRAM, box_files(str(folder), dataset=config.dataset_name)
    for each in inside:
        yield name, each.name, box_files(str(each), dataset=config.dataset_name)


def _unlabelled(config: Ingestion) -> Found:
    files = box_files(config.particles, dataset=config.dataset_name)
    names = [(NO_CLASS, NO_TOMOGRAM)] * len(files)
    return _of_files(files, names, common_folder([file.path for file in files]), config)


def _of_files(
    files: Sequence[BoxFile], names: Sequence[tuple[str, str]], beside: Path, config: Ingestion
) -> Found:
    """All boxes of these files, each file with its class and tomogram.

    They bear their files' names as seen from the folder `beside`: no set depends on the machine.
    """
    counts = np.array([file.count for file in files])
    number = np.repeat(np.arange(len(files)), counts)
    position = np.arange(len(number)) - np.repeat(np.cumsum(counts) - counts, counts)
    called = [relative_name(file.path, beside) for file in files]
    classes, tomograms = (np.array(column, object)[number] for column in zip(*names, strict=True))
    ids = [
        called[i] if counts[i] == 1 else f"{at + 1}@{called[i]}"
        for i, at in zip(number.tolist(), position.tolist(), strict=True)
    ]
    placed = Placed(
        tuple(box_volumes(file, config.known_spacing) for file in files),
        number,
        in_stack(position),
    )
    return found_places(
        placed,
        ids=np.array(ids, object),
        classes=classes,
        tomograms=tomograms,
        config=config,
    )
