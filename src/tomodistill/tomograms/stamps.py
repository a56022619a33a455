"""By what a volume file is known to be as it was: terabytes are not read again to be sure."""

from pathlib import Path
from stat import S_ISDIR


def file_stamp(path: Path) -> tuple[int, int]:
    """Bytes of a file and when it was changed, in ns; of a folder (Zarr) all its bytes, and the
    last change in it.
    """
    known = path.stat()
    size, changed = known.st_size, known.st_mtime_ns
    inside = path.rglob("*") if S_ISDIR(known.st_mode) else ()  # there may be a million
    for each in inside:
        known = each.stat()
        size, changed = size + known.st_size, max(changed, known.st_mtime_ns)
    return size, changed
