"""Volume files of every format, as other programs write them."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import h5py
import mrcfile
import numpy as np
import tifffile
import zarr

from tests.subtomograms.volume_bodies import mrc_bytes

SPACING = 10.5  # Å


def write_packed(compression: str) -> Callable[[Path, np.ndarray], None]:
    def write(path: Path, volume: np.ndarray) -> None:
        with mrcfile.new(path, volume, compression=compression) as mrc:
            mrc.voxel_size = SPACING

    return write


def write_mrc(path: Path, volume: np.ndarray) -> None:
    with mrcfile.new(path, volume) as mrc:
        mrc.voxel_size = SPACING


def write_big_endian(path: Path, volume: np.ndarray) -> None:
    cell = tuple(SPACING * side for side in volume.shape[::-1])
    path.write_bytes(mrc_bytes(volume, 1, ">", cella=cell))


def write_half(path: Path, volume: np.ndarray) -> None:
    write_mrc(path, volume.astype(np.float16))


def write_imagej(path: Path, volume: np.ndarray) -> None:
    said = {"unit": "nm", "spacing": SPACING / 10, "axes": "ZYX"}
    resolution = (10 / SPACING, 10 / SPACING)
    tifffile.imwrite(path, volume, imagej=True, resolution=resolution, metadata=said)


def write_ome_tiff(path: Path, volume: np.ndarray) -> None:
    sizes = {f"PhysicalSize{axis}": SPACING for axis in "XYZ"}
    units = {f"PhysicalSize{axis}Unit": "Å" for axis in "XYZ"}
    tifffile.imwrite(path, volume, ome=True, metadata={"axes": "ZYX", **sizes, **units})


def write_compressed_tiff(path: Path, volume: np.ndarray) -> None:
    dots = (1e8 / SPACING, 1e8 / SPACING)
    tifffile.imwrite(path, volume, compression="zlib", resolution=dots, resolutionunit="CENTIMETER")


def write_eman2(path: Path, volume: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        image = file.create_group("MDF/images/0")
        image["image"] = volume
        image.attrs.update({f"EMAN.apix_{axis}": SPACING for axis in "xyz"})


def write_set(path: Path, volume: np.ndarray) -> None:
    """As `subtomograms.dataset` does."""
    with h5py.File(path, "w") as file:
        file["volumes"] = volume[np.newaxis]
        file.attrs["header"] = json.dumps({"voxel_spacing": SPACING, "contrast": "dark"})


def write_ome_zarr(version: int) -> Callable[[Path, np.ndarray], None]:
    """Version 3 with metadata 0.5 in nanometres, 2 with 0.4 in ångström and a leading channel."""

    def write(path: Path, volume: np.ndarray) -> None:
        group = zarr.open_group(str(path), mode="w", zarr_format=version)
        stored = volume if version == 3 else volume[np.newaxis]
        for level in (0, 1):
            values = stored[..., :: 2**level, :: 2**level, :: 2**level]
            group.create_array(f"s{level}", data=values, chunks=(5,) * values.ndim)
        group.attrs.update(_multiscales(version))

    return write


def _multiscales(version: int) -> dict[str, object]:
    unit, step = ("nanometer", SPACING / 10) if version == 3 else ("angstrom", SPACING)
    leading = [] if version == 3 else [{"name": "c", "type": "channel"}]
    levels = [
        {
            "path": f"s{level}",
            "coordinateTransformations": [
                {"type": "scale", "scale": [1.0] * len(leading) + [step * 2**level] * 3},
                {"type": "translation", "translation": [0.0] * (3 + len(leading))},
            ],
        }
        for level in (0, 1)
    ]
    axes = leading + [{"name": name, "type": "space", "unit": unit} for name in "zyx"]
    scales = {"multiscales": [{"axes": axes, "datasets": levels}]}
    return {"ome": {"version": "0.5", **scales}} if version == 3 else scales


def write_npy(path: Path, volume: np.ndarray) -> None:
    np.save(path, volume)


def write_npy_fortran(path: Path, volume: np.ndarray) -> None:
    np.save(path, np.asfortranarray(volume))


STATING: dict[str, Callable[[Path, np.ndarray], None]] = {  # that state the voxel spacing
    "plain.mrc": write_mrc,
    "half.rec": write_half,
    "big_endian.st": write_big_endian,
    "packed.mrc.gz": write_packed("gzip"),
    "packed.map.bz2": write_packed("bzip2"),
    "imagej.tif": write_imagej,
    "ome.ome.tif": write_ome_tiff,
    "packed.tiff": write_compressed_tiff,
    "eman2.hdf": write_eman2,
    "set.h5": write_set,
    "v2.zarr": write_ome_zarr(2),
    "v3.zarr": write_ome_zarr(3),
}
SILENT = {"plain.npy": write_npy, "fortran.npy": write_npy_fortran}
EVERY = STATING | SILENT


def gzipped(body: bytes) -> bytes:
    return gzip.compress(body)
