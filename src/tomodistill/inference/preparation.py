"""Stored volumes as a model's network sees them, and what had to be made of them.

Larger or finer boxes than the model's serve as well: of each edge the central voxels are taken
that span the model's box, and the Fourier crop of the preprocessing brings them to its voxels.
What is missing cannot be made up: smaller or coarser ones are refused.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomodistill.errors import InputError
from tomodistill.inference.version import Manifest
from tomodistill.subtomograms.preprocessing import Contrast, preprocess
from tomodistill.subtomograms.spacing import same_spacing, spanning_edge


@dataclass(frozen=True)
class Prepared:
    """Volumes for an engine, and what they were taken for."""

    volumes: NDArray[np.float32]  # (n, e, e, e)
    box: int  # voxels of each edge that were used, around the centre
    voxel_spacing: float  # Å, of the given volumes
    contrast: Contrast  # likewise
    rescaled: bool  # their voxels were brought to the width of the model's
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
    count. Raises InputError for volumes that are coarser than the model's or do not span its box,
    for any other box than its own without a voxel spacing, and for what are no finite real numbers.
    """
    box = used_box(manifest, volumes.shape, voxel_spacing)
    _check_numbers(volumes)
    stated = {"voxel_spacing": voxel_spacing, "contrast": contrast}
    return Prepared(
        _preprocess(manifest, _central(volumes, box), contrast or manifest.contrast, first),
        box=box,
        voxel_spacing=voxel_spacing or manifest.voxel_spacing,
        contrast=contrast or manifest.contrast,
        rescaled=box != manifest.box,
        assumed=tuple(name for name, given in stated.items() if given is None),
    )


def used_box(manifest: Manifest, shape: tuple[int, ...], voxel_spacing: float | None) -> int:
    """Voxels of each edge that span the model's box; the others are cut off, as many on either
    side, so that the centre stays the centre. `shape`: (n, d, d, d), spacing in Å.

    Raises InputError as `prepare` does, without the volumes.
    """
    box = shape[-1] if shape else 0
    if shape[1:] != (box, box, box) or (voxel_spacing is None and box != manifest.box):
        raise _wrong_box(manifest.box, shape)
    if voxel_spacing is None:
        return box
    spanning = spanning_edge(
        manifest.box, box_spacing=manifest.voxel_spacing, voxel_spacing=voxel_spacing
    )
    used = box - 2 * max(math.ceil((box - spanning - 1) / 2), 0)  # the even number nearest to it
    if used < manifest.box or not same_spacing(used, spanning):
        raise _wrong_box(
            round(spanning), shape, f" at {voxel_spacing:.3f} Å, or an even number more"
        )
    return used


def _central(volumes: NDArray[Any], box: int) -> NDArray[Any]:
    """(n, b, b, b) around the centre of (n, d, d, d) volumes; a view."""
    start = (volumes.shape[-1] - box) // 2
    inside = slice(start, start + box)
    return volumes[:, inside, inside, inside]


def _preprocess(
    manifest: Manifest, volumes: NDArray[Any], contrast: Contrast, first: int
) -> NDArray[np.float32]:
    """(n, e, e, e) of (n, b, b, b) volumes, which span the model's box."""
    parameters = manifest.preprocessing
    with np.errstate(invalid="ignore", over="ignore"):  # refused below
        prepared = preprocess(
            volumes.astype(np.float32, copy=False),
            voxel_spacing=manifest.voxel_spacing * (manifest.box / volumes.shape[-1]),
            contrast=contrast,
            parameters=replace(parameters, crop=parameters.edge(manifest.box)),
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


def _check_numbers(volumes: NDArray[Any]) -> None:
    if volumes.dtype.kind not in "fiu":
        raise InputError(
            expected="volumes of real numbers, float32 at best",
            found=f"{volumes.dtype}",
            todo="Convert them.",
        )


def _wrong_box(box: int, shape: tuple[int, ...], which: str = "") -> InputError:
    return InputError(
        expected=f"boxes of {box} x {box} x {box} voxels{which}",
        found=" x ".join(map(str, shape[1:])),
        todo="Crop so many around each particle, and state voxel_spacing if it is not the model's.",
    )
