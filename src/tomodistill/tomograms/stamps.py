"""By what a volume file is known to be as it was: terabytes are not read again to be sure."""

from pathlib import Path


def file_stamp(path: Path) -> tuple[int, int]:
    """Bytes of a file and when it was changed, in ns; of a folder (Zarr) all its bytes, and the
    last change in it.
    """
    known = [each.stat() for each in (path, *path.rglob("*"))]
    return sum(each.st_size for each in known), max(each.st_mtime_ns for each in known)
