"""HDF5 files: our own subtomogram sets, EMAN2's, and whatever holds one volume or stack."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py

from tomodistill.subtomograms.files import HDF5_ERRORS
from tomodistill.subtomograms.mrc_header import common_spacing
from tomodistill.tomograms.volume_file import VolumeFile, only_one, parsed, volume_file

_EMAN2 = "MDF/images"


class _Members:
    """A stack whose volumes, or images, EMAN2 stored one by one."""

    def __init__(self, images: h5py.Group) -> None:
        self._images = images
        first = images["0/image"]
        self.shape, self.dtype = (len(images), *first.shape), first.dtype

    def __getitem__(self, key: Any) -> Any:
        number, *inside = key if isinstance(key, tuple) else (key,)
        return self._images[f"{number}/image"][tuple(inside)]


def read_hdf5(path: Path, dataset: str) -> VolumeFile:
    """The named data set, or the only one that can be volumes.

    Raises InputError for a damaged file, and where there are none or several.
    """
    with ExitStack() as opened:
        with parsed(path, "HDF5 file", HDF5_ERRORS):
            file = opened.enter_context(h5py.File(path))
            found = _find(path, file, dataset)
        read = volume_file(path, **found, close=file.close)
        opened.pop_all()
    return read


def _find(path: Path, file: h5py.File, dataset: str) -> dict[str, Any]:
    """The array, and what is said of it, as arguments of `volume_file`."""
    if not dataset and _EMAN2 in file:
        return _of_eman2(file[_EMAN2])
    if dataset in ("", "volumes") and "volumes" in file and "header" in file.attrs:
        header = json.loads(file.attrs["header"])
        stated = {name: header[name] for name in ("voxel_spacing", "contrast")}
        return {"array": file["volumes"], **stated}
    arrays: dict[str, h5py.Dataset] = {}

    def note(name: str, node: h5py.Group | h5py.Dataset) -> None:
        if isinstance(node, h5py.Dataset):
            arrays[name] = node

    file.visititems(note)
    return {"array": only_one(path, arrays, dataset.strip("/"))}


def _of_eman2(images: h5py.Group) -> dict[str, Any]:
    sides = [images["0"].attrs.get(f"EMAN.apix_{axis}", 0.0) for axis in "xyz"]
    array = _Members(images) if len(images) > 1 else images["0/image"]
    spacing = common_spacing(map(float, sides))
    return {"array": array, "voxel_spacing": spacing, "images": len(images["0/image"].shape) < 3}
