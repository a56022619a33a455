"""The subtomogram set: one HDF5 file of volumes and all that is known about them.

Written block by block under the name of an unfinished file, and continued there after a kill; it
has its own name only when it is whole. Its sha256 covers everything in it.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from tomodistill.errors import InputError
from tomodistill.subtomograms.files import HDF5_ERRORS
from tomodistill.subtomograms.items import (
    COLUMNS,
    Item,
    Storage,
    check_storable,
    stored_columns,
    stored_volumes,
    volume_type,
)
from tomodistill.subtomograms.preprocessing import Contrast, Preprocessing, preprocess
from tomodistill.subtomograms.row_file import (
    Layout,
    continued_rows,
    file_digest,
    rows_per_block,
    write_digest,
    write_rows,
)

SCHEMA_VERSION = 1
SPLITS = ("train", "val", "test")
UNLABELLED = -1


@dataclass(frozen=True)
class SetHeader:
    """What holds for every item of a set."""

    set_id: str
    class_names: tuple[str, ...]
    box: int  # voxels
    voxel_spacing: float  # Å
    contrast: Contrast
    handedness: str  # "right", or "unknown" for experimental volumes
    recipe: dict[str, Any]  # every parameter of what made the volumes


@dataclass(frozen=True)
class SubtomogramSet:
    """An opened set. Volumes stay on disk until `volumes` asks for them."""

    path: Path
    header: SetHeader
    digest: str  # sha256 over the content
    storage: str  # of the volumes on disk, one of Storage
    columns: dict[str, NDArray[Any]]

    @property
    def ids(self) -> NDArray[Any]:
        """(n,) item ids."""
        return self.columns["id"]

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n,) indices into `header.class_names`; UNLABELLED = none known."""
        return self.columns["label"]

    @property
    def tilt_range(self) -> tuple[float, float]:
        """Smallest and largest tilt of any item, degrees; NaN where none is known."""
        lows, highs = self.columns["tilt_range"].T
        return _extremes(lows)[0], _extremes(highs)[1]

    @property
    def snr_range(self) -> tuple[float, float]:
        """Smallest and largest SNR of any item that has one; NaN where none has."""
        return _extremes(self.columns["snr"])

    def rows(self, split: str) -> NDArray[np.int64]:
        """(m,) positions of one part: "train", "val" or "test"."""
        return np.flatnonzero(self.columns["split"] == split)

    def labelled_rows(self, split: str) -> NDArray[np.int64]:
        """(m,) positions of those of one part whose label is known."""
        return np.flatnonzero((self.columns["split"] == split) & (self.labels != UNLABELLED))

    def preprocessed(
        self, rows: NDArray[np.int64], parameters: Preprocessing
    ) -> NDArray[np.float32]:
        """(m, e, e, e) volumes at positions `rows` as networks see them."""
        prepared = np.empty((len(rows), *[parameters.edge(self.header.box)] * 3), np.float32)
        step = rows_per_block(4 * self.header.box**3)
        for start in range(0, len(rows), step):  # filters need several times a block's memory
            block = slice(start, start + step)
            prepared[block] = preprocess(
                self.volumes(rows[block]),
                voxel_spacing=self.header.voxel_spacing,
                contrast=self.header.contrast,
                parameters=parameters,
            )
        return prepared

    def volumes(
        self, rows: NDArray[np.int64], *, contrast: Contrast | None = None
    ) -> NDArray[np.float32]:
        """(m, d, d, d) stored volumes at positions `rows`; their sign changed for another contrast.

        Without `contrast`, as they are stored.
        """
        volumes = np.empty((len(rows), *[self.header.box] * 3), np.float32)
        with h5py.File(self.path) as file:
            stored = file["volumes"]
            for volume, row in zip(volumes, rows, strict=True):  # HDF5 is slow with long lists
                volume[...] = stored[row]
        turned = contrast is not None and contrast != self.header.contrast
        return np.subtract(0, volumes, out=volumes) if turned else volumes  # and no -0.0


def write_set(
    path: Path,
    header: SetHeader,
    items: Callable[[int], Iterable[Item]],
    count: int,
    *,
    storage: Storage = "float32",
) -> SubtomogramSet:
    """Write `count` items as they come; nothing stands at `path` until all of them do.

    `items(start)` gives those from position `start` on: a set that was interrupted is continued if
    header, count and storage are the same, and at most one block of items (32 MiB) is made again;
    none is if the whole set stands already. "float16" halves the file, keeps 11 bits of each value
    (relative error 5e-4) and gives another digest. Raises InputError for an item that fits no set,
    and where another process writes this one.
    """
    if _stands(path, header, count, storage):
        return open_set(path)
    with continued_rows(path, _layout(header, count, storage)) as (file, start):
        todo = items(start) if start < count else ()
        for block in _blocks(_checked(todo, header, start, count, storage), header.box):
            write_rows(file, start, _values(block, storage))
            start += len(block)
        unique = len(set(_column(file, "id")[:start]))
        if unique != count:
            raise _refusal(f"{count} subtomograms, each with its own id", f"{unique}")
        write_digest(file, _digest(file))
    return open_set(path)


def open_set(path: Path, *, verify: bool = False) -> SubtomogramSet:
    """Open a set; with `verify` its content is read whole and held to its digest.

    Raises InputError for a file that is no such set, is of another schema, or was changed.
    """
    if not path.exists():
        raise _refusal("a subtomogram set (HDF5)", f"no such file on this machine: {path}")
    try:
        with h5py.File(path) as file:
            return _open(path, file, verify)
    except InputError:
        raise
    except HDF5_ERRORS as error:
        raise _refusal("a subtomogram set (HDF5)", f"{path}: {error}") from error


def _open(path: Path, file: h5py.File, verify: bool) -> SubtomogramSet:
    if file.attrs["schema_version"] != SCHEMA_VERSION:
        raise _refusal(f"schema {SCHEMA_VERSION}", f"schema {file.attrs['schema_version']}: {path}")
    digest = file_digest(file)
    if not digest:
        raise _refusal("a whole set", f"an unfinished one: {path}")
    if verify and _digest(file) != digest:
        raise _refusal("content that matches its sha256", f"a changed or damaged file {path}")
    header = json.loads(file.attrs["header"])
    header["class_names"] = tuple(header["class_names"])
    columns = {name: _column(file, name) for name in COLUMNS}
    storage = file["volumes"].dtype.name
    return SubtomogramSet(path, SetHeader(**header), digest, storage, columns)


def _stands(path: Path, header: SetHeader, count: int, storage: Storage) -> bool:
    """Whether just this set was written before: its writer died with the work after it undone."""
    try:
        found = open_set(path, verify=True)
    except InputError:
        return False
    same = (len(found.ids), found.storage) == (count, storage)
    return same and _text(found.header) == _text(header)


def _layout(header: SetHeader, count: int, storage: Storage) -> Layout:
    columns = {"volumes": (volume_type(storage), (header.box,) * 3)}
    beside = {f"items/{name}": column for name, column in COLUMNS.items()}
    known = _text(header)
    return Layout(count, columns | beside, {"schema_version": SCHEMA_VERSION, "header": known})


def _text(header: SetHeader) -> str:
    return json.dumps(asdict(header), sort_keys=True)


def _values(block: list[Item], storage: Storage) -> dict[str, NDArray[Any]]:
    """(m, ...) each column of some items, under its name in the file."""
    beside = {f"items/{name}": values for name, values in stored_columns(block).items()}
    return {"volumes": stored_volumes(block, storage), **beside}


def _blocks(items: Iterator[Item], box: int) -> Iterator[list[Item]]:
    while block := list(islice(items, rows_per_block(4 * box**3))):
        yield block


def _checked(
    items: Iterable[Item], header: SetHeader, start: int, count: int, storage: Storage
) -> Iterator[Item]:
    for row, item in enumerate(items, start):
        _check(item, header, row, count)
        check_storable(item, storage)
        yield item


def _check(item: Item, header: SetHeader, row: int, count: int) -> None:
    if row == count:
        raise _refusal(f"{count} subtomograms", "more")
    if item.volume.shape != (header.box,) * 3:  # HDF5 would stretch a smaller one
        raise _refusal(f"boxes of {header.box} voxels", f"shape {item.volume.shape}: {item.id}")
    if item.split not in SPLITS:
        raise _refusal(f"a split of {SPLITS}", f"{item.split!r}: {item.id}")
    if not UNLABELLED <= item.label < len(header.class_names):
        raise _refusal(f"a label below {len(header.class_names)}", f"{item.label}: {item.id}")


def _extremes(values: NDArray[np.float64]) -> tuple[float, float]:
    """Smallest and largest of what is known; NaN where nothing is."""
    known = values[~np.isnan(values)]
    return (float(known.min()), float(known.max())) if len(known) else (np.nan, np.nan)


def _column(file: h5py.File, name: str) -> NDArray[Any]:
    dataset = file[f"items/{name}"]
    return np.asarray(dataset.asstr()[:] if h5py.check_string_dtype(dataset.dtype) else dataset[:])


def _digest(file: h5py.File) -> str:
    """sha256 over header, columns and volumes as stored, in a fixed order and byte order."""
    content = hashlib.sha256(str(file.attrs["header"]).encode())
    for name in sorted(COLUMNS):
        column = _column(file, name)
        text = column.dtype.kind in "OUT"
        content.update("\n".join(column).encode() if text else column.tobytes())
    volumes = file["volumes"]
    step = rows_per_block(4 * volumes.shape[1] ** 3)
    for start in range(0, len(volumes), step):
        block = volumes[start : start + step]
        content.update(block.astype(block.dtype.newbyteorder("<"), copy=False).data)
    return content.hexdigest()


def _refusal(expected: str, found: str) -> InputError:
    return InputError(expected=expected, found=found, todo="Make the set again with `simulate`.")
