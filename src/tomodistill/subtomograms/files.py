"""Files that are whole or not there: nothing half-written ever stands under its final name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What h5py raises, by where it stumbles, for a file that is damaged or of another kind.
HDF5_ERRORS = (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a name beside `path` to write to; moves it to `path` at the end, or removes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
