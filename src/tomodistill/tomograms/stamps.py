"""By what a volume file is known to be as it was: terabytes are not read again to be sure."""

from itertools import chain
from pathlib import Path


def file_stamp(path: Path) -> tuple[int, int]:
    """Bytes of a file and when it was changed, in ns; of a folder (Zarr) all its bytes, and the
    last change in it.
    """
    size, changed = 0, 0
    for each in chain([path], path.rglob("*")):  # there may be a million in it
        known = each.stat()
        size, changed = size + known.st_size, max(changed, known.st_mtime_ns)
    return size, changed
