"""Volumes as people hand them over: .npy and .mrc, from disk or from an HTTP body.

A 128-byte header can claim 32 GiB, so the claim is held to the bytes at hand before any library
allocates memory for it.
"""

import io
from pathlib import Path

import mrcfile
import numpy as np
from mrcfile.dtypes import HEADER_DTYPE
from mrcfile.mrcinterpreter import MrcInterpreter
from mrcfile.utils import data_dtype_from_header, data_shape_from_header
from numpy.lib import format as npy
from numpy.typing import NDArray

from tomodistill.errors import InputError

MRC_HEADER_BYTES = 1024
LARGEST_VALUE = 1e30  # Fourier sums over any box still fit a float32
_LONGEST_REASON = 200  # characters of a parser's message
_NPY_MAGIC = b"\x93NUMPY"
_MRC_MACHINE_STAMP = {0x44: "<", 0x11: ">"}  # first byte of MACHST: little and big endian


def write_mrc(path: Path, volume: NDArray[np.float32], voxel_spacing: float) -> None:
    """Write one (d, d, d) volume, `voxel_spacing` in Å into the header."""
    with mrcfile.new(path, data=volume.astype(np.float32), overwrite=True) as mrc:
        mrc.voxel_size = voxel_spacing


def parse_volumes(body: bytes | bytearray) -> tuple[NDArray[np.generic], float | None]:
    """Array of any shape and values, and voxel spacing in Å, from the bytes of a .npy or .mrc file.

    `check_volumes` says whether a network can take them. Raises InputError if the body is neither,
    or is truncated.
    """
    try:
        return _parse_npy(body) if body.startswith(_NPY_MAGIC) else _parse_mrc(body)
    except InputError:
        raise
    except Exception as error:  # a hostile header makes the parsers raise nearly anything
        raise _refusal("a .npy or .mrc file", f"a broken one ({_brief(error)})") from error


def check_volumes(array: NDArray[np.generic]) -> NDArray[np.float32]:
    """(n, d, d, d) float32 from a (d, d, d) or (n, d, d, d) array; finite and not constant."""
    stack = array[np.newaxis] if array.ndim == 3 else array
    if stack.ndim != 4 or len(set(stack.shape[1:])) != 1 or 0 in stack.shape:
        _refuse("cubic volumes, (d, d, d) or (n, d, d, d)", f"shape {array.shape}")
    with np.errstate(over="ignore"):  # what float32 cannot hold is refused by the next line
        volumes = np.ascontiguousarray(stack, dtype=np.float32)
    low, high = volumes.min(axis=(1, 2, 3)), volumes.max(axis=(1, 2, 3))  # NaN stays NaN
    finite = np.isfinite(low) & np.isfinite(high)
    if not finite.all():
        _refuse("finite values", f"NaN or infinity in volume {int(np.argmin(finite))}")
    if max(-low.min(), high.max()) > LARGEST_VALUE:
        _refuse(f"values up to {LARGEST_VALUE:.0e}", f"{max(-low.min(), high.max()):.1e}")
    constant = low == high
    if constant.any():
        _refuse("volumes with contrast", f"volume {int(np.argmax(constant))} is constant")
    return volumes


def _parse_npy(body: bytes | bytearray) -> tuple[NDArray[np.generic], float | None]:
    stream = io.BytesIO(body)
    version = npy.read_magic(stream)
    reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = reader(stream)
    if dtype.kind not in "fiu":
        _refuse("real numbers", f"dtype {dtype}")
    _check_length(shape, dtype, have=len(body) - stream.tell())
    stream.seek(0)
    return np.load(stream, allow_pickle=False), None


def _parse_mrc(body: bytes | bytearray) -> tuple[NDArray[np.generic], float | None]:
    if len(body) < MRC_HEADER_BYTES or body[208:211] != b"MAP":
        _refuse("a .npy or .mrc file", f"{len(body)} bytes that are neither")
    order = _MRC_MACHINE_STAMP.get(body[212], "<")
    header = np.frombuffer(body[:MRC_HEADER_BYTES], HEADER_DTYPE.newbyteorder(order))
    header = header.reshape(()).view(np.recarray)  # the record that mrcfile's functions expect
    shape, dtype = data_shape_from_header(header), data_dtype_from_header(header)
    if dtype.kind == "c":
        _refuse("real numbers", "complex values (MRC mode 3 or 4)")
    have = len(body) - MRC_HEADER_BYTES - int(header["nsymbt"])
    _check_length(shape, dtype, have=have)
    _check_axes(header)
    with MrcInterpreter(io.BytesIO(body)) as mrc:
        return np.array(mrc.data), _stated_spacing(mrc)


def _check_axes(header: NDArray[np.void]) -> None:
    """Other orders would move the missing wedge or mirror the particle; zeros say nothing."""
    axes = tuple(int(header[name]) for name in ("mapc", "mapr", "maps"))
    if axes not in ((1, 2, 3), (0, 0, 0)):
        _refuse("columns, rows, sections along x, y, z (MAPC, MAPR, MAPS of 1, 2, 3)", f"{axes}")


def _stated_spacing(mrc: MrcInterpreter) -> float | None:
    """None for 0 and 1.0 Å, which is what programs write that do not know the voxel spacing."""
    with np.errstate(all="ignore"):  # a grid of 0 samples states no spacing either
        spacing = float(mrc.voxel_size.x)
    return spacing if 0 < spacing < np.inf and not np.isclose(spacing, 1.0) else None


def _check_length(shape: tuple[int, ...], dtype: np.dtype, *, have: int) -> None:
    claimed = int(dtype.itemsize)
    for side in shape:  # Python integers: a hostile header cannot overflow them
        claimed *= int(side)
    if min(shape, default=0) < 0 or claimed != have:
        _refuse(f"{claimed} bytes for shape {tuple(map(int, shape))} of {dtype}", f"{have} bytes")


def _brief(error: Exception) -> str:
    return f"{error}".partition("\n")[0][:_LONGEST_REASON] or type(error).__name__


def _refusal(expected: str, found: str) -> InputError:
    return InputError(expected=expected, found=found, todo="Send whole .npy or .mrc volumes.")


def _refuse(expected: str, found: str) -> None:
    raise _refusal(expected, found)
