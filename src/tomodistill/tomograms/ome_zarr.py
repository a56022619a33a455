"""Zarr stores, with what OME-Zarr says of them; of several resolutions the highest."""

from pathlib import Path
from typing import Any

import zarr

from tomodistill.subtomograms.mrc_header import common_spacing
from tomodistill.tomograms.units import angstrom
from tomodistill.tomograms.volume_file import Lazy, VolumeFile, only_one, parsed, volume_file

_MARKS = ("zarr.json", ".zarray", ".zgroup")  # of versions 3, 2 and 2
_SPACE = "zyx"


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr store."""
    return any((path / name).is_file() for name in _MARKS)


def read_zarr(path: Path, dataset: str) -> VolumeFile:
    """The named array, else the highest resolution of an OME-Zarr, else the only one.

    Raises InputError for a damaged store, and where there are none or several.
    """
    with parsed(path, "Zarr store"):
        array, spacing = _find(path, dataset)
    return volume_file(path, array, voxel_spacing=spacing)


def _find(path: Path, dataset: str) -> tuple[Lazy, float | None]:
    """The array, and its voxel spacing in Å."""
    root: Any = zarr.open(str(path), mode="r")
    if hasattr(root, "shape"):
        return only_one(path, {"": root}, dataset), None
    attributes = dict(root.attrs)
    scales = attributes.get("ome", attributes).get("multiscales", ())  # since 0.5; before
    if not scales:
        return only_one(path, dict(root.arrays()), dataset), None
    levels = {level["path"]: level for level in scales[0]["datasets"]}
    name = dataset or next(iter(levels))
    array = only_one(path, {level: root[level] for level in levels}, name)
    return array, _spacing(scales[0], levels[name])


def _spacing(scales: dict[str, Any], level: dict[str, Any]) -> float | None:
    """Å; None unless the axes of space have units of length."""
    along = [1.0] * len(scales["axes"])
    for step in (level, scales):  # from voxels of the level, and then for all levels
        for transformation in step.get("coordinateTransformations", ()):
            if transformation["type"] == "scale":
                along = [a * b for a, b in zip(along, transformation["scale"], strict=True)]
    axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in scales["axes"]]
    return common_spacing(
        length * angstrom(axis.get("unit", ""))
        for axis, length in zip(axes, along, strict=True)
        if axis["name"] in _SPACE
    )
