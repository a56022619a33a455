"""The subtomograms of particle lists: their boxes, or what lies there in tomograms."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tomodistill.errors import InputError
from tomodistill.ingestion.config import Ingestion
from tomodistill.ingestion.found import (
    NO_CLASS,
    NO_TOMOGRAM,
    Found,
    common_folder,
    found_places,
    relative_name,
)
from tomodistill.particles.lists import Names, ParticleList
from tomodistill.particles.placing import Placed, place


def find_listed(lists: Sequence[ParticleList], config: Ingestion) -> Found:
    """In tomograms, where `config` names some, else the boxes that the lists name.

    Raises InputError for a list without what is needed, and as finding and opening files does.
    """
    if config.cropped and not config.box:
        raise InputError(
            expected="box: the voxels to crop", found="box=0", todo="Give for example box=32."
        )
    placed = _joined([place(particles, config, config.known_spacing) for particles in lists])
    return found_places(
        placed,
        ids=_ids(lists),
        classes=np.concatenate([_or_none(each.classes, NO_CLASS, each) for each in lists]),
        tomograms=_files(placed) if config.cropped else _tomograms(lists),
        angles=np.concatenate([_angles(each) for each in lists]),
        config=config,
    )


def _joined(placed: Sequence[Placed]) -> Placed:
    """The particles of one list after the other."""
    counts = [len(each.files) for each in placed]
    firsts = np.cumsum([0, *counts[:-1]])
    return Placed(
        tuple(file for each in placed for file in each.files),
        np.concatenate([each.file + first for each, first in zip(placed, firsts, strict=True)]),
        np.concatenate([each.at for each in placed]),
    )


def _ids(lists: Sequence[ParticleList]) -> Names:
    """(n,) unique: where two lists have one, each bears its list's name too."""
    ids = np.concatenate([each.ids for each in lists])
    if len(set(ids)) == len(ids):
        return ids
    folder = common_folder([each.path for each in lists])
    return np.concatenate([f"{relative_name(each.path, folder)}/" + each.ids for each in lists])


def _files(placed: Placed) -> Names:
    """(n,) of the tomograms, whatever each list calls them."""
    paths = [file.path for file in placed.files]
    folder = common_folder(paths)
    return np.array([relative_name(path, folder) for path in paths], object)[placed.file]


def _tomograms(lists: Sequence[ParticleList]) -> Names:
    return np.concatenate([_or_none(each.tomograms, NO_TOMOGRAM, each) for each in lists])


def _or_none(known: Names | None, word: str, particles: ParticleList) -> Names:
    return np.full(len(particles), word, object) if known is None else known


def _angles(particles: ParticleList) -> NDArray[np.float64]:
    """(n, 3), NaN where the list has none."""
    unknown = np.full((len(particles), 3), np.nan)
    return unknown if particles.angles is None else particles.angles
