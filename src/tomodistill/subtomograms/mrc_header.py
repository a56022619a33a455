"""What an MRC header states of its volume, whoever wrote it: voxel spacing, contrast, axes."""

from collections.abc import Iterable
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from tomodistill.errors import InputError
from tomodistill.subtomograms.preprocessing import Contrast

HEADER_BYTES = 1024
IMAGES = 0  # ISPG of an image stack, whose z is no length
_SAME_SPACING = 0.01  # relative, of the axes of one volume; others state none
_ROUNDING = 1e-5  # Å


def stated_spacing(header: NDArray[np.void]) -> float | None:
    """Å per voxel; None where the header states none, or not the same along every axis."""
    axes = "xy" if header["ispg"] == IMAGES else "xyz"
    with np.errstate(all="ignore"):  # a grid of 0 samples states no spacing either
        return common_spacing(float(header["cella"][axis] / header[f"m{axis}"]) for axis in axes)


def common_spacing(along: Iterable[float]) -> float | None:
    """The spacing that all axes share, of each one's in Å; None if they do not.

    None for 0 and 1.0 Å as well, which is what programs write that do not know the voxel spacing.
    """
    first, *others = along
    known = 0 < first < np.inf and abs(first - 1) > _ROUNDING
    return first if known and all(abs(s / first - 1) < _SAME_SPACING for s in others) else None


def stated_contrast(header: NDArray[np.void]) -> Contrast | None:
    """None if no label, or more than one, says it as `contrast_label` does."""
    labels = {label.strip() for label in header["label"][: int(header["nlabl"])].tolist()}
    stated: list[Contrast] = [c for c in get_args(Contrast) if contrast_label(c).encode() in labels]
    return stated[0] if len(stated) == 1 else None


def contrast_label(contrast: Contrast) -> str:
    """MRC has no field for the contrast: a label says it, which other programs keep and show."""
    return f"tomodistill contrast={contrast}"


def check_axes(header: NDArray[np.void]) -> None:
    """Raises InputError for axes in another order than columns, rows, sections along x, y, z.

    They would move the missing wedge or mirror the particle. Zeros say nothing.
    """
    axes = tuple(int(header[name]) for name in ("mapc", "mapr", "maps"))
    if axes not in ((1, 2, 3), (0, 0, 0)):
        raise InputError(
            expected="columns, rows, sections along x, y, z (MAPC, MAPR, MAPS of 1, 2, 3)",
            found=f"{axes}",
            todo="Write the volume again in that order of axes.",
        )
