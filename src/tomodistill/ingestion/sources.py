"""Experimental subtomograms as people have them: folders of boxes, and particle lists."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tomodistill.errors import InputError
from tomodistill.ingestion.config import Ingestion
from tomodistill.ingestion.found import NO_CLASS, NO_TOMOGRAM, Found, found_places
from tomodistill.ingestion.listed import find_listed
from tomodistill.particles.options import NONE
from tomodistill.particles.placing import Placed, box_volumes, in_stack
from tomodistill.particles.reading import FOREIGN, LIST_SUFFIXES, read_particles
from tomodistill.tomograms.boxes import BoxFile, box_files
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
    suffix = path.suffix.partition("?")[0]  # which picks of a copick project
    if suffix in (*LIST_SUFFIXES, *FOREIGN) and not path.is_dir():
        return find_listed(read_particles(path), config)
    folders = _folders(path) if path.is_dir() and not is_zarr(path) else []
    return _of_classes(path, folders, config) if folders else _unlabelled(config)


def _folders(path: Path) -> list[Path]:
    """Those that hold something of their own: no hidden ones, no Zarr stores."""
    inside = (each for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))
    return sorted(each for each in inside if not is_zarr(each))


def _of_classes(path: Path, folders: Sequence[Path], config: Ingestion) -> Found:
    loose = [each.name for each in path.iterdir() if not each.is_dir() or is_zarr(each)]
    if loose:
        words = f"{len(loose)} files beside the folders of the classes are not read"
        print(f"{words}: {', '.join(sorted(loose)[:3])}", file=sys.stderr)
    places = [place for folder in folders for place in _places(folder, config)]
    files = [file for _, _, of_place in places for file in of_place]
    names = [(name, tomogram) for name, tomogram, of_place in places for _ in of_place]
    return _of_files(files, names, path, config)


def _places(folder: Path, config: Ingestion) -> Iterator[tuple[str, str, Sequence[BoxFile]]]:
    """Class, tomogram and files of a class's folder, and of those within it."""
    name = NO_CLASS if folder.name == UNLABELLED_FOLDER else folder.name
    inside = _folders(folder)
    if not inside or any(not each.is_dir() for each in folder.iterdir()):
        yield name, NO_TOMOGRAM, box_files(str(folder), dataset=config.dataset_name)
    for each in inside:
        yield name, each.name, box_files(str(each), dataset=config.dataset_name)


def _unlabelled(config: Ingestion) -> Found:
    files = box_files(config.particles, dataset=config.dataset_name)
    beside = Path(config.particles) if Path(config.particles).is_dir() else Path()
    return _of_files(files, [(NO_CLASS, NO_TOMOGRAM)] * len(files), beside, config)


def _of_files(
    files: Sequence[BoxFile], names: Sequence[tuple[str, str]], beside: Path, config: Ingestion
) -> Found:
    """All boxes of these files, each file with its class and tomogram."""
    counts = np.array([file.count for file in files])
    number = np.repeat(np.arange(len(files)), counts)
    position = np.arange(len(number)) - np.repeat(np.cumsum(counts) - counts, counts)
    called = [_relative(file.path, beside) for file in files]
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


def _relative(path: Path, folder: Path) -> str:
    """As seen from the folder, if it lies there: no name of a set depends on the machine."""
    inside = path.is_relative_to(folder)
    return path.relative_to(folder).as_posix() if inside else path.name
