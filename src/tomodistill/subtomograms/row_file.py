"""HDF5 files of a fixed number of rows, written block by block, and continued after a kill.

HDF5's own records are lost when a process dies while it writes them. Here they are written once,
before the first row: each column is one contiguous piece with its place from then on, and rows only
fill it. Each row has a checksum: one that a kill or a power cut tore does not count as written.
"""

import math
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from tomodistill.errors import InputError
from tomodistill.subtomograms.files import (
    HDF5_ERRORS,
    remove_abandoned,
    reserve,
    to_disk,
    whole_hdf5,
)

UNFINISHED_SECONDS = 30 * 24 * 3600.0  # so long may an interrupted file wait to be continued
BLOCK_BYTES = 2**25  # of rows in memory at a time, and the most that a kill loses
_SUFFIX = ".unfinished"
_CHECKSUMS = "checksums"
_DIGEST = "digest"
_DIGEST_TYPE = h5py.string_dtype("ascii", 64)  # sha256 in hexadecimal


@dataclass(frozen=True)
class Layout:
    """What is known of a file before its first row."""

    count: int  # rows
    columns: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]  # type, and shape of one row
    attributes: Mapping[str, str | int]

    @property
    def row_bytes(self) -> int:
        """Bytes of one row, its checksum included."""
        values = (dtype.itemsize * math.prod(shape) for dtype, shape in self.columns.values())
        return sum(values) + 4


@contextmanager
def continued_rows(path: Path, layout: Layout) -> Iterator[tuple[h5py.File, int]]:
    """The file and how many of its first rows stand; with the rest it moves to `path` at the end.

    Until then it is `path` + ".unfinished", which any exception but an InputError leaves for the
    next call, up to 30 days. One writer at a time: raises InputError where another has it open.
    """
    remove_abandoned(path.parent, f"*{path.suffix}{_SUFFIX}", after=UNFINISHED_SECONDS)
    unfinished = path.with_name(path.name + _SUFFIX)
    start = _rows_standing(unfinished, layout)
    if start is None:
        unfinished.unlink(missing_ok=True)  # first, for the room it takes
        start = 0
        with whole_hdf5(unfinished, size=layout.count * layout.row_bytes) as file:
            _lay_out(file, layout)
    reserve(unfinished, unfinished.stat().st_size)  # a copy may have holes
    try:
        with h5py.File(unfinished, "r+") as file:
            yield file, start
    except InputError:  # these rows can become no file
        unfinished.unlink()
        raise
    to_disk(unfinished)
    os.replace(unfinished, path)


def write_rows(file: h5py.File, start: int, columns: Mapping[str, NDArray[Any]]) -> None:
    """Rows from position `start` on, which are on the disk afterwards; (m, ...) each column."""
    sums = _checksums(list(columns.values()))
    for name, values in {**columns, _CHECKSUMS: sums}.items():
        file[name][start : start + len(sums)] = values
    file.flush()
    os.fsync(file.id.get_vfd_handle())


def write_digest(file: h5py.File, digest: str) -> None:
    """The last step: `file_digest` tells nothing before."""
    file.attrs.modify(_DIGEST, digest.encode())


def file_digest(file: h5py.File) -> str:
    """The sha256 that was written, in hexadecimal; "" for a file whose writer did not end."""
    digest = file.attrs[_DIGEST]
    return digest.decode() if isinstance(digest, bytes) else str(digest)


def rows_per_block(row_bytes: int) -> int:
    """How many rows of that size to hold in memory at a time."""
    return max(1, BLOCK_BYTES // row_bytes)


def _lay_out(file: h5py.File, layout: Layout) -> None:
    columns = {**layout.columns, _CHECKSUMS: (np.dtype("<u4"), ())}
    for name, (dtype, shape) in columns.items():
        _take_place(file, name, dtype, (layout.count, *shape))
    for name, value in layout.attributes.items():
        file.attrs[name] = value
    file.attrs.create(_DIGEST, b"", dtype=_DIGEST_TYPE)  # written later in its place


def _take_place(file: h5py.File, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """A contiguous dataset that has its bytes of the file at once (H5D_ALLOC_TIME_EARLY)."""
    folder, _, leaf = name.rpartition("/")
    group = file.require_group(folder) if folder else file
    how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    how.set_layout(h5py.h5d.CONTIGUOUS)
    how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    how.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    how.set_obj_track_times(False)  # same content, same bytes
    kind, space = h5py.h5t.py_create(dtype, logical=True), h5py.h5s.create_simple(shape)
    h5py.h5d.create(group.id, leaf.encode(), kind, space, how)


def _rows_standing(path: Path, layout: Layout) -> int | None:
    """How many first rows stand in an unfinished file; None if there is no such file."""
    if not path.exists():
        return None
    try:
        with h5py.File(path, "r+") as file:
            return _first_wrong(file, layout) if _fits(file, layout) else None
    except BlockingIOError as error:
        raise InputError(
            expected="one process that writes this file",
            found=f"another that has it open: {path}",
            todo="Let that one end, then give the same command again.",
        ) from error
    except HDF5_ERRORS:
        return None


def _fits(file: h5py.File, layout: Layout) -> bool:
    attributes = {name: value for name, value in file.attrs.items() if name != _DIGEST}
    columns = {name: (file[name].dtype, file[name].shape) for name in layout.columns}
    wanted = {
        name: (dtype, (layout.count, *shape)) for name, (dtype, shape) in layout.columns.items()
    }
    return attributes == layout.attributes and columns == wanted


def _first_wrong(file: h5py.File, layout: Layout) -> int:
    """Position of the first row that its checksum denies; the number of rows if none is."""
    step = rows_per_block(layout.row_bytes)
    for start in range(0, layout.count, step):
        block = slice(start, start + step)
        sums = _checksums([file[name][block] for name in layout.columns])
        wrong = np.flatnonzero(sums != file[_CHECKSUMS][block])
        if len(wrong):
            return start + int(wrong[0])
    return layout.count


def _checksums(columns: Sequence[NDArray[Any]]) -> NDArray[np.uint32]:
    """(m,) CRC-32 of each row over all columns, as stored; never 0, which is no row yet."""
    sums = [0] * len(columns[0])
    for column in columns:
        of_rows = np.ascontiguousarray(column).reshape(len(sums), -1).view(np.uint8)
        sums = [zlib.crc32(row.data, last) for row, last in zip(of_rows, sums, strict=True)]
    return np.array([value or 1 for value in sums], np.uint32)
