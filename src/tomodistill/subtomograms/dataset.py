"""The subtomogram set: one HDF5 file of volumes and all that is known about them.

Written once, under a temporary name until it is whole; its sha256 covers everything in it.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from tomodistill.errors import InputError
from tomodistill.subtomograms.files import HDF5_ERRORS, whole_hdf5
from tomodistill.subtomograms.preprocessing import Contrast, Preprocessing, preprocess

SCHEMA_VERSION = 1
SPLITS = ("train", "val", "test")
UNLABELLED = -1
_BLOCK = 256  # volumes in memory at a time
_BYTES_BESIDE = 1024  # of an item beside its volume, generously


@dataclass(frozen=True)
class SetHeader:
    """What holds for every item of a set."""

    set_id: str
    class_names: tuple[str, ...]
    box: int  # voxels
    voxel_spacing: float  # Å
    contrast: Contrast
    handedness: str  # "right", or "unknown" for experimental volumes
    recipe: dict[str, Any]  # name and every parameter of what made the volumes


@dataclass(frozen=True)
class Item:
    """One subtomogram, (d, d, d) float32, and what is known of it (NaN where it is not)."""

    volume: NDArray[np.float32]
    label: int  # index into class_names, UNLABELLED where unknown
    id: str
    split: str  # one of SPLITS
    pose: tuple[float, ...]  # unit quaternion (x, y, z, w), then shift (z, y, x) in voxels
    seed: int
    snr: float
    tilt_range: tuple[float, float]  # degrees
    defocus: float  # µm


_COLUMNS: dict[str, Any] = {
    "label": np.int64,
    "id": h5py.string_dtype(),
    "split": h5py.string_dtype(),
    "pose": np.float64,
    "seed": np.uint64,
    "snr": np.float64,
    "tilt_range": np.float64,
    "defocus": np.float64,
}


@dataclass(frozen=True)
class SubtomogramSet:
    """An opened set. Volumes stay on disk until `volumes` asks for them."""

    path: Path
    header: SetHeader
    digest: str  # sha256 over the content
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
        """Smallest and largest tilt of any item, degrees."""
        tilts = self.columns["tilt_range"]
        return float(tilts[:, 0].min()), float(tilts[:, 1].max())

    @property
    def snr_range(self) -> tuple[float, float]:
        """Smallest and largest SNR of any item."""
        return float(self.columns["snr"].min()), float(self.columns["snr"].max())

    def rows(self, split: str) -> NDArray[np.int64]:
        """(m,) positions of one part: "train", "val" or "test"."""
        return np.flatnonzero(self.columns["split"] == split)

    def preprocessed(
        self, rows: NDArray[np.int64], parameters: Preprocessing
    ) -> NDArray[np.float32]:
        """(m, d, d, d) volumes at positions `rows` as networks see them."""
        prepared = np.empty((len(rows), *[self.header.box] * 3), np.float32)
        for start in range(0, len(rows), _BLOCK):  # filters need several times a block's memory
            block = slice(start, start + _BLOCK)
            prepared[block] = preprocess(
                self.volumes(rows[block]),
                voxel_spacing=self.header.voxel_spacing,
                contrast=self.header.contrast,
                parameters=parameters,
            )
        return prepared

    def volumes(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(m, d, d, d) stored volumes at increasing positions `rows`."""
        with h5py.File(self.path) as file:
            return np.asarray(file["volumes"][rows], np.float32)


def write_set(path: Path, header: SetHeader, items: Iterable[Item], count: int) -> SubtomogramSet:
    """Write `count` items as they come; nothing stands at `path` until all of them do."""
    size = count * (4 * header.box**3 + _BYTES_BESIDE)
    with whole_hdf5(path, size=size) as file:
        _write(file, header, items, count)
        file.attrs["digest"] = _digest(file)
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
    if verify and _digest(file) != file.attrs["digest"]:
        raise _refusal("content that matches its sha256", f"a changed or damaged file {path}")
    header = json.loads(file.attrs["header"])
    header["class_names"] = tuple(header["class_names"])
    columns = {name: _column(file, name) for name in _COLUMNS}
    return SubtomogramSet(path, SetHeader(**header), str(file.attrs["digest"]), columns)


def _write(file: h5py.File, header: SetHeader, items: Iterable[Item], count: int) -> None:
    shape = (count, header.box, header.box, header.box)
    volumes = file.create_dataset("volumes", shape, np.float32, chunks=(1, *shape[1:]))
    rows: list[Item] = []
    for row, item in enumerate(islice(items, count + 1)):
        _check(item, header, row, count)
        volumes[row] = item.volume
        rows.append(_without_volume(item))
    unique = len({item.id for item in rows})
    if unique != count:
        raise _refusal(f"{count} subtomograms, each with its own id", f"{unique}")
    for name, dtype in _COLUMNS.items():
        values = [getattr(item, name) for item in rows]
        file.create_dataset(f"items/{name}", data=np.array(values, dtype=dtype))
    file.attrs["schema_version"] = SCHEMA_VERSION
    file.attrs["header"] = json.dumps(asdict(header), sort_keys=True)


def _check(item: Item, header: SetHeader, row: int, count: int) -> None:
    if row == count:
        raise _refusal(f"{count} subtomograms", "more")
    if item.volume.shape != (header.box,) * 3:  # HDF5 would stretch a smaller one
        raise _refusal(f"boxes of {header.box} voxels", f"shape {item.volume.shape}: {item.id}")
    if item.split not in SPLITS:
        raise _refusal(f"a split of {SPLITS}", f"{item.split!r}: {item.id}")
    if not UNLABELLED <= item.label < len(header.class_names):
        raise _refusal(f"a label below {len(header.class_names)}", f"{item.label}: {item.id}")


def _without_volume(item: Item) -> Item:
    kept = {field.name: getattr(item, field.name) for field in fields(item)}
    return Item(**{**kept, "volume": np.empty(0, np.float32)})


def _column(file: h5py.File, name: str) -> NDArray[Any]:
    dataset = file[f"items/{name}"]
    return np.asarray(dataset.asstr()[:] if dataset.dtype == object else dataset[:])


def _digest(file: h5py.File) -> str:
    """sha256 over header, columns and volumes, in a fixed order and byte order."""
    content = hashlib.sha256(str(file.attrs["header"]).encode())
    for name in sorted(_COLUMNS):
        column = _column(file, name)
        text = column.dtype.kind in "OUT"
        content.update("\n".join(column).encode() if text else column.tobytes())
    volumes = file["volumes"]
    for start in range(0, len(volumes), _BLOCK):
        content.update(volumes[start : start + _BLOCK].astype("<f4").tobytes())
    return content.hexdigest()


def _refusal(expected: str, found: str) -> InputError:
    return InputError(expected=expected, found=found, todo="Make the set again with `simulate`.")
