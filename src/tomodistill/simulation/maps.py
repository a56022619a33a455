"""Density maps from MRC and CCP4 files, in the dialects that forty years of programs wrote.

mrcfile gives the layout of the header; the file is read here because mrcfile refuses the files of
old programs and, told to be lenient, allocates whatever a damaged header asks for.
"""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE
from mrcfile.utils import dtype_from_mode

from tomodistill.errors import InputError
from tomodistill.simulation.resampling import LARGEST, resample
from tomodistill.simulation.solvent import without_solvent

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]

LONGEST_EDGE = 2**15  # voxels: larger is what the other byte order looks like
VOLUME_STACKS = range(401, 631)  # space groups that say so: MRC2014, Cheng et al. 2015
IMOD_STAMP, IMOD_SIGNED = 1146047817, 1  # in bytes 152 and 156 of a header that IMOD wrote
DENSITY = "a whole, finite density map of one particle"
OPENERS: Mapping[bytes, Callable[..., object]] = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open}


def read_map(path: Path, voxel_spacing: float, *, map_spacing: float = 0.0) -> Array:
    """(d, d, d) density of a map, resampled to `voxel_spacing` in Å.

    `map_spacing`, in Å, counts only where the header states no spacing of its own. The place of
    the grid (nstart, origin) is ignored: the particle is centred, the solvent
    round it removed. Raises InputError for a file that
    is damaged, not one volume, not finite, without positive density, or of a spacing that is
    unknown or makes a grid too large.
    """
    header, data = _contents(path)
    density = _upright(path, header, data).astype(np.float32)
    _check_values(path, density)
    spacing = _spacing(path, header, map_spacing)
    try:
        return resample(without_solvent(density), spacing=spacing, target=voxel_spacing)
    except ValueError as error:
        raise unusable(path, str(error)) from error


def unusable(path: Path, reason: str, expected: str = DENSITY) -> InputError:
    """What is raised for a file of a structure that is not what it should be."""
    return InputError(
        expected=f"{expected} in {path}",
        found=reason,
        todo="Remove the file from the folder, or replace it with a usable one.",
    )


def _contents(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The header and the (sections, rows, columns) array that follows it."""
    try:
        with path.open("rb") as plain:
            opener = OPENERS.get(plain.read(2), open)
        with cast(BinaryIO, opener(path, "rb")) as file:
            header = _header(path, file.read(HEADER_DTYPE.itemsize))
            shape, dtype = _shape(path, header), _dtype(header)
            file.seek(HEADER_DTYPE.itemsize + _extension(path, header))
            size = dtype.itemsize * int(np.prod(shape))
            raw = file.read(size)
            file.read(1)  # at its end a compressed file verifies its checksum
    except InputError:
        raise
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise unusable(path, str(error)) from error
    if len(raw) < size:
        raise unusable(path, f"a truncated file, {len(raw)} of {size} bytes of values")
    return header, np.frombuffer(raw, dtype).reshape(shape)


def _header(path: Path, raw: bytes) -> np.ndarray:
    """The header in the byte order in which it makes sense, whatever its machine stamp says."""
    if len(raw) < HEADER_DTYPE.itemsize:
        raise unusable(path, f"{len(raw)} bytes, less than a header")
    for order in "<>":
        header = np.frombuffer(raw, HEADER_DTYPE.newbyteorder(order)).reshape(())
        if all(0 < header[name] < LONGEST_EDGE for name in ("nx", "ny", "nz")):
            return header
    raise unusable(path, "no MRC or CCP4 header")


def _extension(path: Path, header: np.ndarray) -> int:
    """Bytes between the header and the values."""
    size = int(header["nsymbt"])
    if size < 0:
        raise unusable(path, f"an extended header of {size} bytes")
    return size


def _shape(path: Path, header: np.ndarray) -> tuple[int, int, int]:
    """(sections, rows, columns) of a file that holds one volume."""
    columns, rows, sections = (int(header[name]) for name in ("nx", "ny", "nz"))
    interval, group = int(header["mz"]), int(header["ispg"])
    if group in VOLUME_STACKS and interval != sections:
        raise unusable(path, f"a stack of volumes ({sections} sections, {interval} in each)")
    if sections == 1 or (group == 0 and interval == 1):
        raise unusable(path, f"{sections} image(s) of {rows} x {columns}, not a volume")
    if sections * rows * columns > LARGEST:
        raise unusable(path, f"{sections} x {rows} x {columns} voxels: crop or bin it")
    return sections, rows, columns


def _dtype(header: np.ndarray) -> np.dtype:
    """Of one voxel; raises ValueError for a mode that is unknown or no density."""
    dtype: np.dtype = dtype_from_mode(header["mode"])
    if dtype.kind == "c":
        raise ValueError("complex values: a transform, not a map")
    integer = header["mode"].dtype
    stamp, flags = np.frombuffer(header["extra2"].tobytes(), integer)[10:12]
    if dtype == np.int8 and stamp == IMOD_STAMP and not flags & IMOD_SIGNED:
        return np.dtype(np.uint8)
    return dtype.newbyteorder(integer.byteorder)


def _upright(path: Path, header: np.ndarray, data: np.ndarray) -> np.ndarray:
    """The (sections, rows, columns) array as (z, y, x)."""
    axes = tuple(int(header[name]) for name in ("maps", "mapr", "mapc"))
    if axes == (0, 0, 0):  # programs older than the field
        return data
    if sorted(axes) != [1, 2, 3]:
        raise unusable(path, f"axes {axes[::-1]} instead of 1, 2 and 3 in some order")
    return np.ascontiguousarray(data.transpose([axes.index(axis) for axis in (3, 2, 1)]))


def _spacing(path: Path, header: np.ndarray, map_spacing: float) -> float:
    """Å: cell / intervals, which are not the grid's extent where a map shows part of a cell."""
    with np.errstate(divide="ignore", invalid="ignore"):
        stated = np.array([header["cella"][x] / np.float64(header[f"m{x}"]) for x in "xyz"])
    # 0 and 1.0 are what programs write that were never told the spacing.
    if not (np.isfinite(stated) & (stated > 0)).all() or (stated == 1.0).all():
        if map_spacing > 0:
            return map_spacing
        raise _unscaled(path, stated, "or give map_spacing, in Å, for maps that state none")
    angles = np.array([header["cellb"][name] for name in ("alpha", "beta", "gamma")])
    if (np.abs(angles - 90) > 0.1).any() and angles.any():
        raise unusable(path, f"a cell with angles of {_joined(angles)} degrees")
    if np.ptp(stated) > 0.01 * stated.mean():
        raise _unscaled(path, stated, "or resample the map to cubic voxels")
    return float(stated.mean())


def _check_values(path: Path, density: Array) -> None:
    if not np.isfinite(density).all():
        raise unusable(path, "values that are not finite")
    if not (density > 0).any():
        raise unusable(path, "no positive density (protein must be the bright side)")
    if density.min() == density.max():
        raise unusable(path, "the same value everywhere")


def _joined(values: Array) -> str:
    return " x ".join(f"{value:g}" for value in values)


def _unscaled(path: Path, stated: Array, remedy: str) -> InputError:
    return InputError(
        expected=f"one voxel spacing in Å, neither 0 nor 1.0, in the header of {path}",
        found=_joined(stated),
        todo=f"Write the true spacing into the header (mrcfile: voxel_size = ...), {remedy}.",
    )
