"""An opened volume file: an array that is read where it is sliced, and what the file says of it."""

import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from tomodistill.errors import InputError
from tomodistill.subtomograms.files import HDF5_ERRORS
from tomodistill.subtomograms.preprocessing import Contrast
from tomodistill.tomograms.chunks import ByChunks

Holds = Literal["volume", "volumes", "images"]
_SLICES = 3  # axes of a volume
_LONGEST = 300  # characters of a list of arrays
_CHUNK_ERRORS = (*HDF5_ERRORS, EOFError, zlib.error)  # Zarr's gzip raises these two as well


class Lazy(Protocol):
    """What memory maps, HDF5 datasets and Zarr arrays have in common."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what can be sliced."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values as they are stored."""
        ...

    def __getitem__(self, key: Any) -> Any:
        """The values of a slice, read now."""
        ...


@dataclass(frozen=True, eq=False)
class VolumeFile:
    """A context manager, which closes the file; or call `close`."""

    path: Path
    array: Lazy = field(repr=False)  # (z, y, x); "volumes" (n, d, d, d); "images" (n, y, x)
    voxel_spacing: float | None  # Å; None: not stated
    contrast: Contrast | None  # None: not stated
    holds: Holds
    close: Callable[[], None] = field(default=lambda: None, repr=False)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """For what slices the array. Raises InputError for a damaged chunk, met only then."""
        with parsed(self.path, "volume file", _CHUNK_ERRORS):
            yield

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Only:
    """The one member of an array's leading axis, without reading it."""

    def __init__(self, array: Lazy) -> None:
        self._array = array
        self.shape, self.dtype = tuple(array.shape[1:]), array.dtype
        self.chunks = _chunks(array)[1:]

    def __getitem__(self, key: Any) -> Any:
        return self._array[(0, *key) if isinstance(key, tuple) else (0, key)]


def volume_file(
    path: Path,
    array: Lazy,
    *,
    voxel_spacing: float | None = None,
    contrast: Contrast | None = None,
    images: bool = False,
    close: Callable[[], None] = lambda: None,
) -> VolumeFile:
    """What an array of a file holds; leading axes of one member are dropped.

    Raises InputError for what is neither a volume nor a stack of them, empty, or no real numbers.
    """
    while len(array.shape) > _SLICES and array.shape[0] == 1:
        array = _Only(array)
    if len(array.shape) not in (_SLICES, _SLICES + 1) or 0 in array.shape:
        raise refusal(
            path,
            "a volume (z, y, x), or a stack of volumes (n, d, d, d)",
            f"an array of shape {tuple(array.shape)}",
            "Give a file of volumes.",
        )
    if array.dtype.kind not in "fiu":
        raise refusal(path, "real numbers", f"{array.dtype}", "Convert them, float32 at best.")
    if len(array.shape) == _SLICES and _chunks(array):
        array = ByChunks(array, _chunks(array))
    holds: Holds = "images" if images else "volume" if len(array.shape) == _SLICES else "volumes"
    return VolumeFile(path, array, voxel_spacing, contrast, holds, close)


def _chunks(array: Lazy) -> tuple[int, ...]:
    """Voxels of a chunk's edges; none of an array that has no chunks."""
    return tuple(getattr(array, "chunks", None) or ())


def only_one(path: Path, arrays: Mapping[str, Lazy], name: str) -> Lazy:
    """The array of that name; without one, the only array that can be volumes.

    Raises InputError if there is no such array, or several.
    """
    if name in arrays and name:
        return arrays[name]
    volumes = [array for array in arrays.values() if len(array.shape) >= _SLICES]
    if not name and len(volumes) == 1:
        return volumes[0]
    held = ", ".join(f"{key or 'itself'} {tuple(each.shape)}" for key, each in arrays.items())
    raise refusal(
        path,
        f"an array {name}" if name else "one array of volumes",
        f"{held[:_LONGEST] or 'none'}",
        "Keep one in the file, or name the right one.",
    )


def mapped(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], start: int, *, fortran: bool = False
) -> NDArray[Any]:
    """The values from byte `start` of a file on, read where they are sliced.

    Raises InputError if the file is shorter than that.
    """
    check_length(path, shape, dtype, have=path.stat().st_size - start)
    return np.memmap(path, dtype, "r", start, shape, "F" if fortran else "C").view(np.ndarray)


def check_length(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], *, have: int) -> None:
    """Raises InputError if `have` bytes are too few for what a header claims."""
    claimed = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 1 or claimed > have:
        raise refusal(
            path,
            f"{claimed} bytes for shape {shape} of {dtype}",
            f"{have} bytes",
            "It is damaged or was not written to its end: copy or make it again.",
        )


@contextmanager
def parsed(
    path: Path, kind: str, faults: tuple[type[Exception], ...] = (Exception,)
) -> Iterator[None]:
    """Whatever a library's parser raises within the block (`faults`) leaves it as InputError: a
    damaged file makes it raise nearly anything. InputError names the file.
    """
    try:
        with naming(path):
            yield
    except InputError:
        raise
    except faults as error:
        todo = "Copy or make it again."
        raise refusal(path, f"a whole {kind}", f"a broken one ({error})", todo) from error


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """InputError that does not name the file, of which the block speaks, does so."""
    try:
        yield
    except InputError as error:
        if str(path) in error.found:
            raise
        raise refusal(path, error.expected, error.found, error.todo) from error


def refusal(path: Path, expected: str, found: str, todo: str) -> InputError:
    """The error for a file that cannot be used."""
    return InputError(expected=expected, found=f"{found}: {path}", todo=todo)
