"""MRC and CCP4 files in the dialects of the field.

Plain files are read where they are sliced, compressed ones whole. Other programs write wrong
machine stamps, no MAP, or bytes without a sign: what can be understood is.
"""

import bz2
import gzip
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE
from mrcfile.utils import (
    data_dtype_from_header,
    data_shape_from_header,
    spacegroup_is_volume_stack,
)
from numpy.typing import NDArray

from tomodistill.subtomograms.mrc_header import (
    HEADER_BYTES,
    IMAGES,
    check_axes,
    stated_contrast,
    stated_spacing,
)
from tomodistill.tomograms.volume_file import (
    VolumeFile,
    check_length,
    mapped,
    naming,
    refusal,
    volume_file,
)

COMPRESSED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open}
_READ = (0, 1, 2, 6, 12)  # modes
_OTHERS = {3: "complex", 4: "complex", 16: "colour", 101: "4-bit"}
OF_IMAGES = (".mrcs", ".st", ".ali")  # are stacks of images where the header does not say
_WIDEST = 2**16  # voxels of a row; in the wrong byte order any sensible number is more
_BIG_ENDIAN = 0x11  # first byte of the machine stamp, at 212
_IMOD_STAMP = 1146047817  # at 152; of the flags after it the first says that bytes have a sign


def read_mrc(path: Path) -> VolumeFile:
    """A volume, a stack of volumes or of images. Raises InputError if it cannot be read."""
    with _opened(path) as stream:
        header = _header(path, stream.read(HEADER_BYTES))
        shape, dtype = _shape(path, header), _dtype(path, header)
        start = HEADER_BYTES + int(header["nsymbt"])
        if path.suffix in COMPRESSED:
            array = _unpacked(path, stream, shape, dtype, start)
        else:
            array = mapped(path, shape, dtype, start)
    with naming(path):
        check_axes(header)
    return volume_file(
        path,
        array,
        voxel_spacing=stated_spacing(header),
        contrast=stated_contrast(header),
        images=_holds_images(path, header),
    )


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with COMPRESSED.get(path.suffix, open)(path, "rb") as stream:
            yield stream
    except (EOFError, OSError, zlib.error) as error:  # of damaged compressed files
        raise refusal(path, "a whole file", f"{error}", "Copy or make it again.") from error


def _header(path: Path, head: bytes) -> NDArray[np.void]:
    """In the byte order that makes sense of it, its machine stamp's if both do."""
    if len(head) == HEADER_BYTES:
        for order in "><" if head[212] == _BIG_ENDIAN else "<>":
            header = np.frombuffer(head, HEADER_DTYPE.newbyteorder(order)).reshape(())
            if header["mode"] in (*_READ, *_OTHERS) and _is_sensible(header):
                return header
    todo = "Copy it again, or write it again with the program that made it."
    raise refusal(path, "an MRC file", f"{len(head)} bytes that are no header of one", todo)


def _is_sensible(header: NDArray[np.void]) -> bool:
    sides = 0 < header["nx"] < _WIDEST and 0 < header["ny"] < _WIDEST
    return bool(sides and header["nz"] > 0 and header["nsymbt"] >= 0)


def _shape(path: Path, header: NDArray[np.void]) -> tuple[int, ...]:
    stack = spacegroup_is_volume_stack(header["ispg"])
    if stack and (header["mz"] < 1 or header["nz"] % header["mz"]):
        found = f"volumes of {header['mz']} in all {header['nz']} sections"
        raise refusal(path, "a stack of whole volumes (MZ, NZ)", found, "Correct its header.")
    return tuple(data_shape_from_header(header.view(np.recarray)))


def _dtype(path: Path, header: NDArray[np.void]) -> np.dtype[Any]:
    mode = int(header["mode"])
    if mode in _OTHERS:
        raise refusal(
            path,
            f"one of the MRC modes {', '.join(map(str, _READ))}",
            f"mode {mode}, {_OTHERS[mode]} values",
            "Convert it, with IMOD: newstack -mode 2 IN OUT.",
        )
    stamp, flags = struct.unpack_from(
        header["mode"].dtype.byteorder.replace("=", "<") + "ii", header.tobytes(), 152
    )
    unsigned = mode == 0 and stamp == _IMOD_STAMP and not flags & 1
    dtype = data_dtype_from_header(header.view(np.recarray))
    return np.dtype(np.uint8) if unsigned else np.dtype(dtype)


def _holds_images(path: Path, header: NDArray[np.void]) -> bool:
    """Many programs give a tomogram the ISPG of images as well, but then its own MZ."""
    named = Path(path.stem if path.suffix in COMPRESSED else path).suffix in OF_IMAGES
    one_by_one = header["mz"] == 1 < header["nz"]
    return bool(header["ispg"] == IMAGES and (named or one_by_one))


def _unpacked(
    path: Path, stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any], start: int
) -> NDArray[Any]:
    values = stream.read()[start - HEADER_BYTES :]
    check_length(path, shape, dtype, have=len(values))
    return np.frombuffer(values, dtype, count=int(np.prod(shape))).reshape(shape)
