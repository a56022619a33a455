"""Stored volumes as a model's network sees them, and what had to be made of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomodistill.errors import InputError
from tomodistill.inference.version import Manifest
from tomodistill.subtomograms.preprocessing import Contrast, preprocess

_SPACING_TOLERANCE = 0.02  # relative


@dataclass(frozen=True)
class Prepared:
    """Volumes for an engine, and what they were taken for."""

    volumes: NDArray[np.float32]  # (n, e, e, e)
    box: int  # voxels of each edge that were used, around the centre
    voxel_spacing: float  # Å, of the given volumes
    contrast: Contrast  # likewise
    assumed: tuple[str, ...]  # "voxel_spacing", "contrast": not stated, taken to be the model's


def prepare(
    manifest: Manifest,
    volumes: NDArray[Any],
    *,
    voxel_spacing: float | None = None,
    contrast: Contrast | None = None,
    first: int = 0,
) -> Prepared:
    """Preprocess stored volumes (n, d, d, d) as the model of that manifest expects.

    `voxel_spacing` in Å and `contrast` where the volumes state them; `first`: from where errors
    count. Raises InputError for a box or a voxel spacing that is not
    the model's, and for what are no finite real numbers.
    """
    _check(manifest, volumes)
    _check_spacing(manifest, voxel_spacing)
    stated = {"voxel_spacing": voxel_spacing, "contrast": contrast}
    return Prepared(
        _preprocess(manifest, volumes, contrast or manifest.contrast, first),
        box=manifest.box,
        voxel_spacing=voxel_spacing or manifest.voxel_spacing,
        contrast=contrast or manifest.contrast,
        assumed=tuple(name for name, given in stated.items() if given is None),
    )


def _preprocess(
    manifest: Manifest, volumes: NDArray[Any], contrast: Contrast, first: int
) -> NDArray[np.float32]:
    """(n, e, e, e) of (n, d, d, d) volumes."""
    with np.errstate(invalid="ignore", over="ignore"):  # refused below
        prepared = preprocess(
            volumes.astype(np.float32, copy=False),
            voxel_spacing=manifest.voxel_spacing,
            contrast=contrast,
            parameters=manifest.preprocessing,
        )
    # Normalisation spreads what is not finite over its whole volume: one voxel tells.
    wrong = np.flatnonzero(~np.isfinite(prepared[:, 0, 0, 0]))
    if len(wrong):
        raise InputError(
            expected="volumes of finite numbers",
            found=f"NaN or infinity in subtomogram {first + wrong[0]}, counted from 0",
            todo="Leave it out, or crop it again.",
        )
    return prepared


def _check(manifest: Manifest, volumes: NDArray[Any]) -> None:
    box = manifest.box
    if volumes.shape[1:] != (box, box, box):
        raise InputError(
            expected=f"boxes of {box} x {box} x {box} voxels",
            found=f"{' x '.join(map(str, volumes.shape[1:]))}",
            todo=f"Crop {box} voxels at {manifest.voxel_spacing} Å around each particle.",
        )
    if volumes.dtype.kind not in "fiu":
        raise InputError(
            expected="volumes of real numbers, float32 at best",
            found=f"{volumes.dtype}",
            todo="Convert them.",
        )


def _check_spacing(manifest: Manifest, voxel_spacing: float | None) -> None:
    spacing = manifest.voxel_spacing
    if voxel_spacing and abs(voxel_spacing / spacing - 1) > _SPACING_TOLERANCE:
        raise InputError(
            expected=f"a voxel spacing of {spacing} Å",
            found=f"{voxel_spacing:.3f} Å in the header",
            todo="Rescale the volumes, or correct the header.",
        )
