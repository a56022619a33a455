"""One subtomogram with what is known of it, and how a set stores each value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from tomodistill.errors import InputError

Storage = Literal["float32", "float16"]  # of volumes on disk; in memory they are float32
_ID_BYTES = 256  # of the longest id, in UTF-8
# Type and shape of one item's value: fixed, so that a column has its place before it has values.
COLUMNS: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {
    "label": (np.dtype("<i8"), ()),
    "id": (h5py.string_dtype("utf-8", _ID_BYTES), ()),
    "split": (h5py.string_dtype("utf-8", 8), ()),
    "pose": (np.dtype("<f8"), (7,)),
    "seed": (np.dtype("<u8"), ()),
    "snr": (np.dtype("<f8"), ()),
    "tilt_range": (np.dtype("<f8"), (2,)),
    "defocus": (np.dtype("<f8"), ()),
}


@dataclass(frozen=True)
class Item:
    """One subtomogram, (d, d, d) float32, and what is known of it (NaN where it is not)."""

    volume: NDArray[np.float32]
    label: int  # index into the set's class_names, UNLABELLED where unknown
    id: str
    split: str  # one of SPLITS
    pose: tuple[float, ...]  # unit quaternion (x, y, z, w), then shift (z, y, x) in voxels
    seed: int
    snr: float
    tilt_range: tuple[float, float]  # degrees
    defocus: float  # µm


def check_storable(item: Item, storage: Storage) -> None:
    """Raises InputError for an id or a value that a set would cut or turn to infinity."""
    if len(item.id.encode()) > _ID_BYTES:
        raise InputError(
            expected=f"ids of at most {_ID_BYTES} bytes", found=item.id, todo="Shorten them."
        )
    if storage == "float16":
        _check_float16(item)


def _check_float16(item: Item) -> None:
    largest, limits = float(np.abs(item.volume).max()), np.finfo(np.float16)
    least, most = float(limits.smallest_normal), float(limits.max)  # smaller ones lose digits
    if not least <= largest <= most:
        raise InputError(
            expected=f"values up to ±{least:.0e} at least and ±{most:.0f} at most, which float16 "
            "holds",
            found=f"{largest:g}: {item.id}",
            todo="Store the set as float32.",
        )


def volume_type(storage: Storage) -> np.dtype[Any]:
    """Of a value on disk: little-endian everywhere."""
    return np.dtype(storage).newbyteorder("<")


def stored_volumes(items: Sequence[Item], storage: Storage) -> NDArray[Any]:
    """(m, d, d, d) volumes as a set stores them."""
    volumes = np.empty((len(items), *items[0].volume.shape), volume_type(storage))
    for row, item in enumerate(items):
        volumes[row] = item.volume
    return volumes


def stored_columns(items: Sequence[Item]) -> dict[str, NDArray[Any]]:
    """(m, ...) values beside the volumes, by name, as a set stores them."""
    values = {name: [getattr(item, name) for item in items] for name in COLUMNS}
    for name in ("id", "split"):
        values[name] = [text.encode() for text in values[name]]
    return {name: np.array(values[name], dtype) for name, (dtype, _) in COLUMNS.items()}
