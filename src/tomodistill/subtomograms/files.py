"""Files that are whole or not there: nothing half-written ever stands under its final name."""

import errno
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from tomodistill.errors import InputError

# What h5py raises, by where it stumbles, for a file that is damaged or of another kind.
HDF5_ERRORS = (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError)
ABANDONED_SECONDS = 3600.0  # a partial file that long unchanged has no writer any more
# Of any name: what was left by the writer of a file that stands by now goes with the next file.
_PARTIAL = f"*.{'[0-9a-f]' * 12}.partial"
_HDF5_OVERHEAD = 2**20  # bytes that an HDF5 file needs beside its values, generously

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
# NumPy says only how much it wrote; the others have no errno once a library has wrapped them.
_FULL_WORDS = r"\d+ requested and \d+ written|database or disk is full|No space left on device"
_FORBIDDEN_WORDS = r"readonly database|Permission denied"
_NAMED = (  # by HDF5, and by the system's errors that a library wrapped
    r"filename = '([^']+)'|unable to open file: name = '([^']+)'"
    r"|\[Errno \d+\] [^:]+: (?:'[^']+' -> )?'([^']+)'"
)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a name beside `path` to write to; moves it to `path` at the end, or removes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path.parent, _PARTIAL)
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}.partial")
    try:
        yield partial
        to_disk(partial)
        os.replace(partial, path)
    except OSError as error:
        if error.errno and not error.filename:  # a write that fails does not say where
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_hdf5(path: Path, *, size: int) -> Iterator[h5py.File]:
    """An HDF5 file to write `size` bytes of values to; it stands at `path` at the end, or not.

    The room is taken at once: HDF5 ends the whole process when the disk is full later.
    """
    with whole_file(path) as partial:
        with h5py.File(partial, "w") as file:
            reserve(partial, size + _HDF5_OVERHEAD)
            yield file
        h5py.File(partial, "r+").close()  # gives back what was not needed


def remove_abandoned(folder: Path, pattern: str, *, after: float = ABANDONED_SECONDS) -> None:
    """Remove what matches, files or folders, and was not changed for `after` seconds."""
    for path in folder.glob(pattern):
        try:
            abandoned = time.time() - _last_change(path) > after
            if abandoned and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif abandoned:
                path.unlink(missing_ok=True)
        except OSError:
            continue  # another process removed or finished it meanwhile


def disk_fault(error: BaseException) -> InputError | None:
    """The one line for a full disk or a place out of reach; None for anything else."""
    number, text = _number(error), str(error)
    # Of a copy filename2 is where it goes.
    names = (getattr(error, name, None) for name in ("filename2", "filename"))
    where = next(filter(None, names), None) or _named_in(text)
    if is_full(error):
        return InputError(
            expected="room to write",
            found=f"a full disk or quota: {where}",
            todo="Make room and give the same command again: it continues with what is missing.",
        )
    if number in _FORBIDDEN or re.search(_FORBIDDEN_WORDS, text):
        return InputError(
            expected="a place that may be read and written",
            found=f"none at {where}",
            todo="Change its permissions, or choose another place.",
        )
    return None


def is_full(error: BaseException) -> bool:
    """Whether a full disk, a quota or a limit is the cause."""
    return _number(error) in _FULL or bool(re.search(_FULL_WORDS, str(error)))


def reserve(path: Path, size: int) -> None:
    """Raises OSError if the disk, a quota or a limit does not have `size` bytes for the file."""
    if hasattr(os, "posix_fallocate"):  # not on macOS
        with path.open("r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                error.filename = str(path)  # it was told a number only
                raise


def to_disk(path: Path) -> None:
    """Network disks tell of a quota only now; and a name must not outlive a power cut empty."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _last_change(path: Path) -> float:
    """Seconds since the epoch; of a folder, that of anything in it."""
    inside = path.rglob("*") if path.is_dir() else ()
    return max(float(each.stat().st_mtime) for each in (path, *inside))


def _number(error: BaseException) -> int | None:
    return error.errno if isinstance(error, OSError) else None


def _named_in(text: str) -> str:
    """The file that a message names; many name none."""
    named = re.search(_NAMED, text)
    if named:
        return next(name for name in named.groups() if name)
    return f"the working directory, the tracking store or {tempfile.gettempdir()}"
