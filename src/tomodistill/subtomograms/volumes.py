"""Volumes as people hand them over: .npy and .mrc, from disk or from an HTTP body.

A 128-byte header can claim 32 GiB, so the claim is held to the bytes at hand before anything is
allocated for it; then the array is a view of those bytes.
"""

import re
import struct
from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np
from mrcfile.dtypes import HEADER_DTYPE
from mrcfile.utils import (
    byte_order_from_machine_stamp,
    data_dtype_from_header,
    data_shape_from_header,
)
from numpy.typing import NDArray

from tomodistill.errors import InputError
from tomodistill.subtomograms.mrc_header import (
    HEADER_BYTES,
    check_axes,
    contrast_label,
    stated_contrast,
    stated_spacing,
)
from tomodistill.subtomograms.preprocessing import Contrast

LARGEST_VALUE = 1e30  # Fourier sums over any box still fit a float32
_LONGEST_REASON = 200  # characters of a parser's message
NPY_MAGIC = b"\x93NUMPY"
_NPY_HEADER = re.compile(
    rb"\{\s*'descr':\s*'([<>=|]?\w+)',\s*'fortran_order':\s*(True|False),"
    rb"\s*'shape':\s*\(([0-9, -]*)\),?\s*\}\s*"
)
LONGEST_NPY_HEADER = 2**14  # bytes; NumPy itself reads no more than 10,000
_MRC_STAMP = slice(212, 216)  # MACHST, by which the rest of the header is read


@dataclass(frozen=True)
class Parsed:
    """What a file holds, and what it says of it."""

    array: NDArray[np.generic]  # any shape and values, perhaps a view of the file's bytes
    voxel_spacing: float | None = None  # Å; None: not stated
    contrast: Contrast | None = None  # None: not stated


def write_mrc(
    path: Path,
    volume: NDArray[np.float32],
    voxel_spacing: float,
    contrast: Contrast | None = None,
) -> None:
    """Write one (d, d, d) volume; its header says `voxel_spacing`, Å, and `contrast` if known."""
    with mrcfile.new(path, data=volume.astype(np.float32), overwrite=True) as mrc:
        mrc.voxel_size = voxel_spacing
        if contrast:
            mrc.add_label(contrast_label(contrast))


def parse_volumes(body: bytes | bytearray) -> Parsed:
    """The array in the bytes of a .npy or .mrc file, and what the file states of it.

    `check_volumes` says whether a network can take it. Raises InputError if the body is neither,
    or is truncated.
    """
    try:
        return _parse_npy(body) if body.startswith(NPY_MAGIC) else _parse_mrc(body)
    except InputError:
        raise
    except Exception as error:  # a hostile header makes the parsers raise nearly anything
        raise _refusal("a .npy or .mrc file", f"a broken one ({_brief(error)})") from error


def faults(volumes: NDArray[np.float32]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(n,) which of (n, d, d, d) volumes are constant; (n,) which hold NaN or what is too large."""
    low, high = volumes.min(axis=(1, 2, 3)), volumes.max(axis=(1, 2, 3))  # NaN stays NaN
    return low == high, ~((low >= -LARGEST_VALUE) & (high <= LARGEST_VALUE))


def check_volumes(array: NDArray[np.generic]) -> NDArray[np.float32]:
    """(n, d, d, d) float32 from a (d, d, d) or (n, d, d, d) array; finite and not constant."""
    stack = array[np.newaxis] if array.ndim == 3 else array
    if stack.ndim != 4 or len(set(stack.shape[1:])) != 1 or 0 in stack.shape:
        raise InputError(
            expected="cubic volumes, (d, d, d) or (n, d, d, d)",
            found=f"shape {array.shape}",
            todo="Send boxes, not images; a stack of them in .mrc has ISPG 401 and MZ of d.",
        )
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


def _parse_npy(body: bytes | bytearray) -> Parsed:
    shape, fortran_order, dtype, start = npy_header(body)
    if dtype.kind not in "fiu":
        _refuse("real numbers", f"dtype {dtype}")
    _check_length(shape, dtype, have=len(body) - start)
    values = np.frombuffer(body, dtype, offset=start)
    return Parsed(values.reshape(shape, order="F" if fortran_order else "C"))


def npy_header(body: bytes | bytearray) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, Fortran order, type, and where the numbers begin.

    NumPy's own reader parses Python, which up to 3.11.4 fails by chance when threads do so at once
    (CPython gh-106905): one sound file in some thousands would be refused.
    """
    begin, size = (10, "<H") if body[6] == 1 else (12, "<I")  # after the magic and the version
    start = begin + struct.unpack_from(size, body, 8)[0]
    text = body[begin : min(start, LONGEST_NPY_HEADER)]
    header = _NPY_HEADER.fullmatch(text)
    if header is None:
        fields = re.match(rb"\{\s*'descr':\s*\[", text)
        _refuse("real numbers", "a dtype of several fields") if fields else None
        raise ValueError("its header is not what NumPy writes")
    descr, order, sides = (field.decode() for field in header.groups())
    shape = tuple(int(side) for side in sides.split(",") if side.strip())
    return shape, order == "True", np.dtype(descr), start


def _parse_mrc(body: bytes | bytearray) -> Parsed:
    if len(body) < HEADER_BYTES or body[208:211] != b"MAP":
        raise _neither(body)
    order = byte_order_from_machine_stamp(body[_MRC_STAMP])
    header = np.frombuffer(body[:HEADER_BYTES], HEADER_DTYPE.newbyteorder(order))
    header = header.reshape(()).view(np.recarray)  # the record that mrcfile's functions expect
    shape, dtype = data_shape_from_header(header), data_dtype_from_header(header)
    if dtype.kind == "c":
        _refuse("real numbers", "complex values (MRC mode 3 or 4)")
    if header["nsymbt"] < 0:
        _refuse("an extended header of 0 bytes or more (NSYMBT)", f"{header['nsymbt']}")
    start = HEADER_BYTES + int(header["nsymbt"])
    _check_length(shape, dtype, have=len(body) - start)
    check_axes(header)
    array = np.frombuffer(body, dtype, offset=start).reshape(shape)
    return Parsed(array, stated_spacing(header), stated_contrast(header))


def _neither(body: bytes | bytearray) -> InputError:
    if body.startswith(b"--") and b"form-data" in body[:HEADER_BYTES]:
        todo = "Send the file as it is: curl --data-binary @file, not curl -F."
        return InputError(expected="a .npy or .mrc file", found="a form around it", todo=todo)
    return _refusal("a .npy or .mrc file", f"{len(body)} bytes that are neither")


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
