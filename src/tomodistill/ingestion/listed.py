"""The subtomograms of a particle list: its boxes, or what lies there in tomograms."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tomodistill.errors import InputError
from tomodistill.ingestion.config import NONE, Ingestion
from tomodistill.ingestion.found import (
    NO_CLASS,
    NO_TOMOGRAM,
    Found,
    found_boxes,
    one_contrast,
    one_spacing,
)
from tomodistill.particles.coordinates import voxels
from tomodistill.particles.lists import Names, ParticleList
from tomodistill.subtomograms.preprocessing import Contrast
from tomodistill.subtomograms.spacing import same_spacing
from tomodistill.tomograms.boxes import listed_boxes
from tomodistill.tomograms.files import open_volume
from tomodistill.tomograms.finding import find_tomograms
from tomodistill.tomograms.relion import FoundTomogram


def find_listed(particles: ParticleList, config: Ingestion) -> Found:
    """In tomograms, where `config` names some, else the boxes that the list names.

    Raises InputError for a list without what is needed, and as finding and opening files does.
    """
    return _boxed(particles, config) if config.tomograms == NONE else _cropped(particles, config)


def _boxed(particles: ParticleList, config: Ingestion) -> Found:
    if particles.images is None or particles.stacks_of_images:
        what = "stacks of 2-D images" if particles.stacks_of_images else "no boxes"
        raise InputError(
            expected="a list that names 3-D boxes (rlnImageName), or tomograms=",
            found=f"{what} in {particles.path} ({particles.dialect})",
            todo="Give the tomograms to crop from with tomograms=FOLDER and box=VOXELS.",
        )
    boxes = listed_boxes(
        particles.images, beside=particles.path.parent, dataset=config.dataset_name
    )
    return found_boxes(
        boxes.files,
        np.asarray(boxes.file, np.int64),
        boxes.position,
        ids=particles.ids,
        classes=_classes(particles),
        tomograms=_tomograms(particles),
        angles=particles.angles,
        config=config,
        listed_spacing=_image_spacing(particles),
    )


def _cropped(particles: ParticleList, config: Ingestion) -> Found:
    if particles.tomograms is None or particles.positions is None:
        raise InputError(
            expected="a list that names tomograms and coordinates, since tomograms is given",
            found=f"{particles.dialect} without them: {particles.path}",
            todo="Leave tomograms out to read the list's boxes, or give another list.",
        )
    if not config.box:
        raise InputError(
            expected="box: the voxels to crop", found="box=0", todo="Give for example box=32."
        )
    file, names = pd.factorize(particles.tomograms)
    of_names = find_tomograms(names, config.tomograms)
    found = [of_names[name] for name in names]
    opened = [_tomogram(of, config) for of in found]
    spacing = one_spacing({of.path: s for of, (s, _, _) in zip(found, opened, strict=True)}, config)
    at = _centres(particles, file, [shape for _, _, shape in opened], spacing, config)
    order = np.lexsort((*at.T[::-1], file))
    angles = np.full((len(at), 3), np.nan) if particles.angles is None else particles.angles
    return Found(
        files=tuple(of.path for of in found),
        file=file,
        at=at,
        edge=0,
        voxel_spacing=spacing,
        contrast=one_contrast({contrast for _, contrast, _ in opened}),
        ids=particles.ids,
        classes=_classes(particles),
        tomograms=_tomograms(particles),
        angles=angles,
    ).take(order)


def _tomogram(
    found: FoundTomogram, config: Ingestion
) -> tuple[float | None, Contrast | None, tuple[int, int, int]]:
    """Voxel spacing in Å and contrast, as stated, and shape of a tomogram."""
    with open_volume(found.path, dataset=config.dataset_name) as file:
        if file.holds != "volume":
            raise InputError(
                expected="a tomogram, one volume (z, y, x)",
                found=f"a stack of {file.holds}: {found.path}",
                todo="Name the reconstruction with tomograms=, not its tilt series.",
            )
        z, y, x = file.array.shape
        return found.voxel_spacing or file.voxel_spacing, file.contrast, (z, y, x)


def _centres(
    particles: ParticleList,
    file: NDArray[np.intp],
    shapes: list[tuple[int, int, int]],
    spacing: float,
    config: Ingestion,
) -> NDArray[np.float64]:
    """(n, 3) z, y, x in voxels of each one's tomogram."""
    assert particles.positions is not None  # checked before
    at = np.empty((len(particles), 3))
    for index, shape in enumerate(shapes):
        rows = np.flatnonzero(file == index)
        at[rows] = voxels(
            particles.positions,
            rows,
            shape=shape,
            voxel_spacing=spacing,
            options=config.coordinates(),
        )
    return at


def _classes(particles: ParticleList) -> Names:
    return particles.classes if particles.classes is not None else _same(NO_CLASS, particles)


def _tomograms(particles: ParticleList) -> Names:
    known = particles.tomograms
    return known if known is not None else _same(NO_TOMOGRAM, particles)


def _same(word: str, particles: ParticleList) -> Names:
    return np.full(len(particles), word, object)


def _image_spacing(particles: ParticleList) -> float | None:
    """Å, where the list says one for all."""
    spacing = particles.image_spacing
    if spacing is None or np.isnan(spacing).any():
        return None
    if not same_spacing(spacing.min(), spacing.max()):
        raise InputError(
            expected="boxes of one voxel spacing",
            found=f"{spacing.min():.4g} to {spacing.max():.4g} Å: {particles.path}",
            todo="Ingest each optics group by itself, and train on all sets with data=ONE,OTHER.",
        )
    return float(np.median(spacing))
