"""The subtomograms of a particle list: its boxes, or what lies there in tomograms."""

import numpy as np

from tomodistill.errors import InputError
from tomodistill.ingestion.config import Ingestion
from tomodistill.ingestion.found import NO_CLASS, NO_TOMOGRAM, Found, found_places
from tomodistill.particles.lists import Names, ParticleList
from tomodistill.particles.placing import place


def find_listed(particles: ParticleList, config: Ingestion) -> Found:
    """In tomograms, where `config` names some, else the boxes that the list names.

    Raises InputError for a list without what is needed, and as finding and opening files does.
    """
    if config.cropped and not config.box:
        raise InputError(
            expected="box: the voxels to crop", found="box=0", todo="Give for example box=32."
        )
    return found_places(
        place(particles, config, config.known_spacing),
        ids=particles.ids,
        classes=_or_none(particles.classes, NO_CLASS, particles),
        tomograms=_or_none(particles.tomograms, NO_TOMOGRAM, particles),
        angles=particles.angles,
        config=config,
    )


def _or_none(known: Names | None, word: str, particles: ParticleList) -> Names:
    return np.full(len(particles), word, object) if known is None else known
