"""Request bodies: good ones, and the malformed ones with the status each must get."""

import gzip
import io
import zipfile
from pathlib import Path

import mrcfile
import numpy as np

from tests.versions import SPACING
from tests.versions import random_volumes as volumes


def npy(array: np.ndarray, **options: bool) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def mrc(folder: Path, array: np.ndarray, spacing: float = SPACING) -> bytes:
    path = folder / "volumes.mrc"
    with mrcfile.new(path, data=array, overwrite=True) as file:
        file.voxel_size = spacing
    return path.read_bytes()


def npy_claiming(shape: str, dtype: str = "<f4") -> bytes:
    """128 bytes, whatever they claim."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}"
    return b"\x93NUMPY\x01\x00\x76\x00" + header.ljust(117).encode() + b"\n"


def mrc_claiming(folder: Path, edge: int) -> bytes:
    """The 1024 bytes of a header that claims edge³ voxels."""
    header = bytearray(mrc(folder, volumes(1)[0])[:1024])
    header[:12] = np.array([edge] * 3, "<i4").tobytes()
    return bytes(header)


def _npz() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, volume=volumes(1)[0])
    assert zipfile.is_zipfile(stream)
    return stream.getvalue()


def _form(body: bytes) -> bytes:
    """What curl -F makes of a file."""
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.npy"\r\n\r\n'
    return head + body + b"\r\n--x--\r\n"


def malformed(folder: Path) -> dict[str, tuple[bytes, int, str]]:
    """Name -> body, status, what the error names."""
    good = volumes(1)[0]
    nan, huge = good.copy(), good.copy()
    nan[3, 4, 5] = np.nan
    huge[0, 0, 0] = 3e38
    return {
        "empty": (b"", 400, "nothing"),
        "text": (b"hello", 400, "5 bytes that are neither"),
        "json": (b'{"volume": [1, 2]}', 400, "neither"),
        "form": (_form(npy(good)), 400, "curl --data-binary @file"),
        "truncated npy": (npy(good)[:-1], 400, "bytes"),
        "longer npy": (npy(good) + b"x", 400, "bytes"),
        "npy magic alone": (b"\x93NUMPY", 400, "broken"),
        "npy claiming 32 GiB": (npy_claiming("(2048, 2048, 2048)"), 400, "34359738368 bytes"),
        "npy with a negative edge": (npy_claiming("(-1, -1, 0)"), 400, "shape (-1, -1, 0)"),
        "npy header of brackets": (npy_claiming("(" * 40), 400, "broken"),
        "pickled npy": (npy(np.array([{}, 1]), allow_pickle=True), 400, "dtype object"),
        "complex npy": (npy(good.astype(np.complex64)), 400, "complex64"),
        "npz": (_npz(), 400, "neither"),
        "gzip": (gzip.compress(npy(good), mtime=0), 400, "neither"),
        "truncated mrc": (mrc(folder, good)[:-4], 400, "bytes"),
        "mrc claiming 4 TiB": (mrc_claiming(folder, 10_240), 400, "4294967296000 bytes"),
        "mrc claiming the most": (mrc_claiming(folder, 2**31 - 1), 400, "bytes for shape"),
        "wrong box": (npy(volumes(1, box=28)[0]), 422, "28 x 28 x 28"),
        "not cubic": (npy(good[:-1]), 422, "shape (26, 27, 27)"),
        "two dimensions": (npy(good[0]), 422, "shape (27, 27)"),
        "no volumes": (npy(volumes(0)), 422, "shape (0, 27, 27, 27)"),
        "NaN": (npy(nan), 422, "NaN or infinity in volume 0"),
        "NaN in a stack": (npy(np.stack([good, nan])), 422, "NaN or infinity in volume 1"),
        "too large values": (npy(huge), 422, "3.0e+38"),
        "constant": (npy(np.ones_like(good)), 422, "volume 0 is constant"),
        "wrong voxel spacing": (mrc(folder, good, 4.6), 422, "4.600 Å"),
    }
