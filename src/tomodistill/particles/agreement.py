"""What all files of one job, or of one set, must have in common."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from tomodistill.errors import InputError, few
from tomodistill.particles.options import Auto
from tomodistill.particles.placing import KnownSpacing
from tomodistill.subtomograms.preprocessing import Contrast
from tomodistill.subtomograms.spacing import same_spacing


def one_spacing(stated: Mapping[float | None, Path], known: KnownSpacing, *, instead: str) -> float:
    """Å of all volumes, of what each states (None: nothing) and a file that does.

    Raises InputError, with what to do `instead`, where they differ, and where any states none.
    """
    spacings = sorted(spacing for spacing in stated if spacing)
    if spacings and not same_spacing(spacings[0], spacings[-1]):
        raise InputError(
            expected="volumes of one voxel spacing",
            found=few([f"{each:.4g} Å in {stated[each]}" for each in spacings]),
            todo=f"{instead}, or give {known.flag}= if headers are wrong.",
        )
    if None in stated:
        raise InputError(
            expected="a voxel spacing in every header or list",
            found=f"none in {'some of them' if spacings else 'any of them'}: {stated[None]}",
            todo=f"Give {known.flag}= in Å.",
        )
    return float(np.median(spacings))


def one_contrast(
    stated: Collection[Contrast | None], given: Contrast | Auto, *, instead: str
) -> Contrast | None:
    """Of all volumes: as `given`, else what every file states; None: not all of them state one.

    Raises InputError, with what to do `instead`, where they differ.
    """
    if given != "auto":  # the word itself tells mypy
        return given
    named = {contrast for contrast in stated if contrast}
    if len(named) > 1:
        raise InputError(
            expected="volumes of one contrast",
            found="dark in some headers and bright in others",
            todo=f"{instead}, or give contrast=dark or bright.",
        )
    return named.pop() if named and None not in stated else None
