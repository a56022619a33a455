"""Bytes of .npy and .mrc files, good and bad, and what becomes of them."""

import io
from dataclasses import replace

import numpy as np
import pytest
from mrcfile.dtypes import HEADER_DTYPE

from tomodistill.errors import InputError
from tomodistill.subtomograms.volumes import Parsed, check_volumes, parse_volumes

MODES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}


def decode_volumes(body: bytes) -> Parsed:
    parsed = parse_volumes(body)
    return replace(parsed, array=check_volumes(parsed.array))


def npy_bytes(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def mrc_bytes(array: np.ndarray, mode: int = 2, order: str = "<", **fields: object) -> bytes:
    """An .mrc file built field by field; `fields` replace what a sound header says."""
    header = np.zeros((), HEADER_DTYPE.newbyteorder(order))
    sides = dict(zip(("nx", "ny", "nz"), array.shape[::-1], strict=True))
    sampling = dict(zip(("mx", "my", "mz"), array.shape[::-1], strict=True))
    stamp = [0x44, 0x44, 0, 0] if order == "<" else [0x11, 0x11, 0, 0]
    sound = {"mode": mode, "map": b"MAP ", "machst": stamp, "ispg": 1, "nversion": 20140}
    axes = {"mapc": 1, "mapr": 2, "maps": 3}
    cell = {"cella": tuple(9.2 * side for side in array.shape[::-1])}
    for name, value in {**sides, **sampling, **sound, **axes, **cell, **fields}.items():
        header[name] = value
    return header.tobytes() + array.astype(order + MODES.get(mode, "f4")).tobytes()


def counting(side: int = 3) -> np.ndarray:
    """(d, d, d) with every value its own, so that a changed axis order shows."""
    return np.arange(side**3, dtype=np.float32).reshape(side, side, side)


def refusal(body: bytes) -> InputError:
    with pytest.raises(InputError) as caught:
        decode_volumes(body)
    return caught.value
