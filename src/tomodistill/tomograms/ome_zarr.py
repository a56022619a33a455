"""Zarr stores, with what OME-Zarr says of them; of several resolutions the highest."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zarr

from tomodistill.subtomograms.mrc_header import common_spacing
from tomodistill.tomograms.units import angstrom
from tomodistill.tomograms.volume_file import (
    Lazy,
    VolumeFile,
    only_one,
    parsed,
    refusal,
    volume_file,
)

_MARKS = ("zarr.json", ".zarray", ".zgroup")  # of versions 3, 2 and 2
_SPACE = "zyx"
_ALWAYS = "tczyx"  # axes, before 0.3


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
    dataset = dataset.strip("/")
    if hasattr(root, "shape"):
        return only_one(path, {"": root}, dataset), None
    attributes = dict(root.attrs)
    scales = attributes.get("ome", attributes).get("multiscales", ())  # since 0.5; before
    if not scales:
        return only_one(path, dict(_arrays(root)), dataset), None
    axes = _axes(path, scales[0])
    levels = {level["path"]: level for level in scales[0]["datasets"]}
    name = dataset or next(iter(levels))
    array = only_one(path, {level: root[level] for level in levels}, name)
    return array, _spacing(axes, scales[0], levels[name])


def _arrays(group: Any, within: str = "") -> Iterator[tuple[str, Lazy]]:
    """Those in groups too, with their paths."""
    yield from ((f"{within}{name}", array) for name, array in group.arrays())
    for name, inner in group.groups():
        yield from _arrays(inner, f"{within}{name}/")


def _axes(path: Path, scales: dict[str, Any]) -> list[dict[str, str]]:
    named = scales.get("axes", _ALWAYS)
    axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in named]
    order = "".join(axis["name"] for axis in axes if axis["name"] in _SPACE)
    if order != _SPACE:
        todo = "Write the volume again in that order of axes."
        raise refusal(path, "axes z, y, x", ", ".join(order) or "none of them", todo)
    return axes


def _spacing(
    axes: list[dict[str, str]], scales: dict[str, Any], level: dict[str, Any]
) -> float | None:
    """Å; None unless the axes of space have units of length."""
    along = [1.0] * len(axes)
    for step in (level, scales):  # from voxels of the level, and then for all levels
        for transformation in step.get("coordinateTransformations", ()):
            if transformation["type"] == "scale":
                along = [a * b for a, b in zip(along, transformation["scale"], strict=True)]
    return common_spacing(
        length * angstrom(axis.get("unit", ""))
        for axis, length in zip(axes, along, strict=True)
        if axis["name"] in _SPACE
    )
