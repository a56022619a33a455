import errno
import os
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from tomodistill.errors import InputError
from tomodistill.subtomograms import row_file
from tomodistill.subtomograms.row_file import (
    UNFINISHED_SECONDS,
    Layout,
    continued_rows,
    file_digest,
    write_digest,
    write_rows,
)

COUNT = 300
TEXT = h5py.string_dtype("utf-8", 12)
LAYOUT = Layout(
    COUNT,
    {"values": (np.dtype("<f4"), (40, 40)), "about/name": (TEXT, ())},
    {"header": "{}", "version": 1},
)
VALUES = {
    "values": np.random.default_rng(1).normal(size=(COUNT, 40, 40)).astype("<f4"),
    "about/name": np.array([f"row {row}".encode() for row in range(COUNT)], TEXT),
}


def rows(start: int, stop: int) -> dict[str, np.ndarray]:
    return {name: values[start:stop] for name, values in VALUES.items()}


def fill(path: Path, *, stop: int = COUNT) -> int:
    """Writes up to row `stop`, and says where it began; an end before the last is a fault."""
    with continued_rows(path, LAYOUT) as (file, start):
        for first in range(start, stop, 100):
            write_rows(file, first, rows(first, min(first + 100, stop)))
        if stop < COUNT:
            raise MemoryError
        write_digest(file, "d" * 64)
    return start


@pytest.fixture
def unfinished(tmp_path: Path) -> Path:
    """With 200 of 300 rows."""
    with pytest.raises(MemoryError):
        fill(tmp_path / "file.h5", stop=200)
    return tmp_path / "file.h5.unfinished"


def test_rows_come_back_after_an_interruption(tmp_path: Path, unfinished: Path) -> None:
    assert fill(tmp_path / "file.h5") == 200
    assert list(tmp_path.iterdir()) == [tmp_path / "file.h5"]
    with h5py.File(tmp_path / "file.h5") as file:
        for name, values in VALUES.items():
            np.testing.assert_array_equal(file[name][:], values)
        assert file_digest(file) == "d" * 64
        assert (file.attrs["header"], file.attrs["version"]) == ("{}", 1)


def test_only_the_places_of_rows_change(tmp_path: Path, unfinished: Path) -> None:
    """What HDF5 needs to find them stands from the first row on."""
    with h5py.File(unfinished) as file:
        datasets = [file[name] for name in ("values", "about/name", "checksums")]
        places = [(data.id.get_offset(), data.id.get_storage_size()) for data in datasets]
        assert not file_digest(file)
    before = bytearray(unfinished.read_bytes())
    fill(tmp_path / "file.h5")
    after = bytearray((tmp_path / "file.h5").read_bytes())
    assert len(after) == len(before)
    for content in (before, after):
        for offset, size in places:
            content[offset : offset + size] = bytes(size)
    assert before == after.replace(b"d" * 64, bytes(64))


def test_same_rows_same_bytes(tmp_path: Path) -> None:
    fill(tmp_path / "first.h5")
    time.sleep(1.1)  # HDF5's clock counts seconds
    fill(tmp_path / "second.h5")
    assert (tmp_path / "first.h5").read_bytes() == (tmp_path / "second.h5").read_bytes()


def taken(path: Path) -> int:
    return path.stat().st_blocks * 512


def test_the_room_is_taken_before_the_first_row(tmp_path: Path) -> None:
    with pytest.raises(MemoryError):
        fill(tmp_path / "file.h5", stop=0)
    assert taken(tmp_path / "file.h5.unfinished") >= COUNT * LAYOUT.row_bytes


def copy_with_holes(path: Path) -> None:
    """As some programs copy: where all is zero, the copy has no blocks."""
    content, page = path.read_bytes(), 4096
    path.unlink()
    with path.open("wb") as copy:
        copy.truncate(len(content))
        for start in range(0, len(content), page):
            if any(content[start : start + page]):
                copy.seek(start)
                copy.write(content[start : start + page])


def test_a_copy_with_holes_takes_its_room_again(tmp_path: Path, unfinished: Path) -> None:
    size = unfinished.stat().st_size
    copy_with_holes(unfinished)
    assert taken(unfinished) < 0.75 * size
    with pytest.raises(MemoryError):
        fill(tmp_path / "file.h5", stop=0)
    assert taken(unfinished) >= size
    assert fill(tmp_path / "file.h5") == 200


def test_a_disk_that_is_full_now_is_told_before_the_next_row(
    tmp_path: Path, unfinished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with (
            pytest.raises(OSError, match="No space left") as caught,
            continued_rows(tmp_path / "file.h5", LAYOUT),
        ):
            pytest.fail("a row was asked for")
    assert caught.value.filename == str(unfinished)
    assert fill(tmp_path / "file.h5") == 200


def test_rows_that_can_become_no_file_are_not_kept(tmp_path: Path, unfinished: Path) -> None:
    with (
        pytest.raises(InputError),
        continued_rows(tmp_path / "file.h5", LAYOUT),
    ):
        raise InputError(expected="a", found="b", todo="c")
    assert list(tmp_path.iterdir()) == []


def test_what_stood_there_stays_until_the_new_file_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    path.write_text("old")
    with pytest.raises(MemoryError):
        fill(path, stop=200)
    assert path.read_text() == "old"


def test_an_unfinished_file_waits_thirty_days(tmp_path: Path, unfinished: Path) -> None:
    other = tmp_path / "other.h5"
    for days, stays in ((29, True), (31, False)):
        before = time.time() - days * 24 * 3600
        os.utime(unfinished, (before, before))
        fill(other)
        assert unfinished.exists() == stays
    assert UNFINISHED_SECONDS == 30 * 24 * 3600


def test_a_checksum_is_of_the_whole_row_and_never_that_of_no_row() -> None:
    numbers, names = np.zeros((4, 3), "<f8"), np.zeros(4, "S5")
    numbers[1, 2] = -0.0  # one bit
    names[2] = b"x"
    sums = row_file._checksums([numbers, names])
    assert sums[0] == sums[3]
    assert len(set(sums.tolist())) == 3
    empty = row_file._checksums([np.zeros((1, 0), "<f8")])  # its CRC-32 is 0
    assert empty.tolist() == [1]
