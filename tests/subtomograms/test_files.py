import errno
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from tomodistill.subtomograms.files import (
    ABANDONED_SECONDS,
    disk_fault,
    remove_abandoned,
    whole_file,
    whole_hdf5,
)

KIB = 1024


def test_the_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new_folder" / "file.txt"
    with whole_file(path) as partial:
        partial.write_text("half")
        assert not path.exists()
        partial.write_text("whole")
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_keeps_what_stood_there(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail() -> None:
        with whole_file(path) as partial:
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_says_for_which_file(tmp_path: Path) -> None:
    def fail() -> None:
        with whole_file(tmp_path / "list.star"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left") as caught:
        fail()
    assert f"a full disk or quota: {tmp_path}/list.star" in str(disk_fault(caught.value))


def test_what_a_killed_process_left_goes_when_no_one_can_write_it(tmp_path: Path) -> None:
    names = ("a.h5", "a.h5", "b.h5")
    old, young, other = (left_behind(tmp_path / name) for name in names)
    foreign = tmp_path / "holiday.partial"  # of another program
    foreign.write_text("half")
    for path in (old, other, foreign):
        age(path)
    with whole_file(tmp_path / "a.h5") as partial:
        partial.write_text("whole")
    assert set(tmp_path.iterdir()) == {tmp_path / "a.h5", young, foreign}


def left_behind(path: Path) -> Path:
    """What a killed writer of `path` leaves."""
    with whole_file(path) as partial:
        partial.write_text("half")
        partial.with_suffix(".kept").hardlink_to(partial)
    path.unlink()
    return partial.with_suffix(".kept").rename(partial)


def test_a_folder_is_as_young_as_what_is_in_it(tmp_path: Path) -> None:
    old, young = tmp_path / ".partial-1", tmp_path / ".partial-2"
    for folder in (old, young):
        folder.mkdir()
        (folder / "file").write_text("half")
    age(old / "file")
    age(old)
    age(young)
    remove_abandoned(tmp_path, ".partial-*", after=2 * ABANDONED_SECONDS)
    assert set(tmp_path.iterdir()) == {old, young}
    remove_abandoned(tmp_path, ".partial-*")
    assert list(tmp_path.iterdir()) == [young]


def age(path: Path) -> None:
    before = time.time() - ABANDONED_SECONDS - 1
    os.utime(path, (before, before))


def test_an_hdf5_file_takes_its_room_at_once_and_gives_the_rest_back(tmp_path: Path) -> None:
    path, values = tmp_path / "file.h5", np.arange(25 * KIB, dtype=np.float32)
    with whole_hdf5(path, size=10 * values.nbytes) as file:
        (partial,) = tmp_path.iterdir()
        assert partial.stat().st_size > 10 * values.nbytes
        file["values"] = values
    assert values.nbytes < path.stat().st_size < values.nbytes + 10 * KIB
    with h5py.File(path) as read:
        np.testing.assert_array_equal(read["values"][:], values)


FILL = """
import sys
from pathlib import Path
import numpy as np
from tomodistill.errors import InputError
from tomodistill.subtomograms.files import disk_fault
from tests.conftest import CLASS_NAMES
from tomodistill.subtomograms.dataset import SetHeader, write_set
from tomodistill.subtomograms.items import Item

header = SetHeader("x", CLASS_NAMES, 32, 10.0, "dark", "right", {"name": "noise"})
def items(start):
    for index in range(start, 12):
        print("item", flush=True)
        volume = np.full((32, 32, 32), index, np.float32)
        yield Item(volume, 0, f"x/{index}", "train", (0.0,) * 7, 0, 1.0, (-60.0, 60.0), 5.0)
try:
    write_set(Path(sys.argv[1]), header, items, 12)
except OSError as error:
    print(disk_fault(error))
"""


@pytest.mark.parametrize("limit", [0, 100 * KIB, 1500 * KIB])
def test_a_full_disk_is_told_before_the_work_and_leaves_nothing(tmp_path: Path, limit: int) -> None:
    path, paths = tmp_path / "set.h5", os.pathsep.join(str(p) for p in sys.path)

    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)  # only root may raise it

    def fill(size: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", FILL, str(path)],
            env={**os.environ, "PYTHONPATH": paths},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, most)),
            capture_output=True,
            text=True,
            timeout=60,
        )

    full = fill(limit)
    assert (full.returncode, full.stdout.count("item")) == (0, 0), full.stderr
    assert f"expected room to write; found a full disk or quota: {tmp_path}" in full.stdout
    assert list(tmp_path.iterdir()) == []
    if limit:  # once is enough
        assert fill(most).stdout.count("item") == 12
        assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/x/a.png"), "disk or quota: /x/a.png"),
        (OSError(errno.ENOSPC, "No space left", "/from", None, "/to"), "disk or quota: /to"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk or quota: the working directory"),
        (OSError(errno.EFBIG, "File too large"), "a full disk or quota"),
        (OSError("1180980 requested and 262128 written"), "a full disk or quota"),  # NumPy
        (OSError(errno.ENOSPC, "file write failed: filename = '/x/a.h5', errno"), "quota: /x/a.h5"),
        (RuntimeError("(sqlite3.OperationalError) database or disk is full"), "room to write"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "and written; found none at /x"),
        (OSError(errno.EROFS, "Read-only file system", "/x/y"), "found none at /x/y"),
        (RuntimeError("[Errno 13] Permission denied: '/x/y'"), "found none at /x/y"),  # wrapped
        (RuntimeError("[Errno 13] Permission denied: '/x' -> '/y'"), "found none at /y"),
        (
            RuntimeError("attempt to write a readonly database"),
            "a place that may be read and written",
        ),
    ],
)
def test_faults_of_a_disk_are_one_line(error: Exception, words: str) -> None:
    message = str(disk_fault(error))
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "error", [FileNotFoundError(errno.ENOENT, "x"), KeyError("full"), OSError("requested 5")]
)
def test_what_is_no_fault_of_a_disk(error: Exception) -> None:
    assert disk_fault(error) is None
