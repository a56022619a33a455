"""A set whose writer was stopped is continued, and is the same as one that was not."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from tomodistill.errors import InputError
from tomodistill.subtomograms import row_file
from tomodistill.subtomograms.dataset import SetHeader, SubtomogramSet, open_set, write_set
from tomodistill.subtomograms.items import Item

BOX, COUNT, BLOCK = 6, 24, 4  # voxels; items of the set, and of a block
HEADER = SetHeader("long", ("a", "b"), BOX, 10.0, "dark", "right", {"name": "noise"})


def make(index: int, box: int = BOX) -> Item:
    volume = np.random.default_rng(index).normal(size=(box, box, box)).astype(np.float32)
    pose = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, float(index))
    return Item(volume, index % 2, f"long/{index}", "train", pose, index, 0.5, (-60.0, 60.0), 5.0)


def items(start: int) -> Iterator[Item]:
    return map(make, range(start, COUNT))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_file, "BLOCK_BYTES", BLOCK * 4 * BOX**3)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Of the same set, written without a stop."""
    return write_set(
        tmp_path_factory.mktemp("whole") / "set.h5", HEADER, items, COUNT
    ).path.read_bytes()


def continued(path: Path, header: SetHeader = HEADER) -> tuple[SubtomogramSet, int]:
    """The set, and from which item on it was made by this call."""
    starts = [COUNT]

    def counted(start: int) -> Iterator[Item]:
        starts.append(start)
        return items(start)

    return write_set(path, header, counted, COUNT), starts[-1]


def stopped(path: Path, at: int) -> Path:
    """The unfinished file of a writer that ended at that item."""

    def ending(start: int) -> Iterator[Item]:
        yield from map(make, range(start, at))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_set(path, HEADER, ending, COUNT)
    (unfinished,) = path.parent.iterdir()
    assert unfinished.name == f"{path.name}.unfinished"
    return unfinished


KILLED = """
import os, signal, sys
from pathlib import Path
import h5py
from tests.subtomograms import test_interrupted_set as script
from tomodistill.subtomograms import row_file
from tomodistill.subtomograms.dataset import write_set

name, nth = sys.argv[2], int(sys.argv[3])
owner = {"os": os, "Dataset": h5py.Dataset, "AttributeManager": h5py.AttributeManager,
         "script": script}[name.partition(".")[0]]
leaf, calls = name.partition(".")[2], 0
call = getattr(owner, leaf)

def struck(*arguments, **named):
    global calls
    calls += 1
    if calls == nth:
        os.kill(os.getpid(), signal.SIGKILL)
    return call(*arguments, **named)

def items(start):
    for index in range(start, script.COUNT):
        print(index, flush=True)
        yield script.make(index)

setattr(owner, leaf, struck)
row_file.BLOCK_BYTES = script.BLOCK * 4 * script.BOX**3
write_set(Path(sys.argv[1]), script.HEADER, items, script.COUNT)
"""


@pytest.mark.parametrize(
    ("call", "nth", "most"),  # the call that kills, and the most items that must stand then
    [
        ("os.fsync", 1, 0),  # the room is taken
        ("script.make", 1, 0),
        ("script.make", 11, 8),
        ("Dataset.__setitem__", 16, 4),  # columns of the second block
        ("Dataset.__setitem__", 20, 4),  # its checksums
        ("os.fsync", 4, 12),
        ("script.make", 24, 20),
        ("AttributeManager.modify", 1, 24),  # the digest
        ("os.replace", 2, 24),  # the final name
    ],
)
def test_after_sigkill_at_most_one_block_is_made_again(
    tmp_path: Path, whole: bytes, call: str, nth: int, most: int
) -> None:
    path, paths = tmp_path / "set.h5", os.pathsep.join(str(p) for p in sys.path)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), call, str(nth)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not path.exists()
    made = len(killed.stdout.split())
    data, start = continued(path)
    assert start <= most
    assert made - start <= BLOCK
    assert path.read_bytes() == whole
    assert open_set(path, verify=True).digest == data.digest
    assert [left.name for left in tmp_path.iterdir() if left.suffix != ".partial"] == ["set.h5"]


@pytest.mark.parametrize(("at", "stands"), [(0, 0), (7, 4), (8, 8), (23, 20)])
def test_after_ctrl_c_whole_blocks_stand(
    tmp_path: Path, whole: bytes, at: int, stands: int
) -> None:
    stopped(tmp_path / "set.h5", at)
    data, start = continued(tmp_path / "set.h5")
    assert (start, data.path.read_bytes()) == (stands, whole)


def test_an_unfinished_file_is_no_set_under_any_name(tmp_path: Path) -> None:
    unfinished = stopped(tmp_path / "set.h5", COUNT)
    with pytest.raises(InputError, match="an unfinished one"):
        open_set(unfinished.rename(tmp_path / "set.h5"))


def _flip(offset: int) -> Callable[[Path], None]:
    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[offset] ^= 1
        path.write_bytes(content)

    return flip


def _value_of_item(index: int) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with h5py.File(path, "a") as file:
            offset = file["volumes"].id.get_offset()
        _flip(offset + 4 * BOX**3 * index + 99)(path)

    return change


def _seed_of_item_2(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["items/seed"][2] = 77


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1000)


def _without_poses(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["items/pose"]


@pytest.mark.parametrize(
    ("damage", "stands"),
    [
        (_value_of_item(13), 13),
        (_value_of_item(0), 0),
        (_seed_of_item_2, 2),
        (_value_of_item(19), 16),  # was not yet there
        (_flip(0), 0),
        (_cut, 0),
        (_without_poses, 0),
        (lambda path: path.write_text("not HDF5"), 0),
        (lambda path: path.write_text(""), 0),
    ],
)
def test_what_was_damaged_meanwhile_is_made_again(
    tmp_path: Path, whole: bytes, damage: Callable[[Path], None], stands: int
) -> None:
    damage(stopped(tmp_path / "set.h5", 18))
    data, start = continued(tmp_path / "set.h5")
    assert (start, data.path.read_bytes()) == (stands, whole)


def test_another_set_of_the_same_name_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "set.h5"
    stopped(path, 18)
    other, start = continued(path, replace(HEADER, handedness="unknown"))
    assert (start, other.header.handedness) == (0, "unknown")
    stopped_then = stopped(tmp_path / "other" / "set.h5", 18)
    half = write_set(path.with_name("other") / "set.h5", HEADER, items, COUNT, storage="float16")
    assert (half.storage, stopped_then.exists()) == ("float16", False)
    stopped(tmp_path / "third" / "set.h5", 18)
    few = write_set(tmp_path / "third" / "set.h5", HEADER, lambda start: items(start + 4), 20)
    assert list(few.ids) == [f"long/{index}" for index in range(4, COUNT)]


def test_a_set_that_stands_is_not_made_again(tmp_path: Path, whole: bytes) -> None:
    """Its writer may have died in the work that came after."""
    path = tmp_path / "set.h5"
    assert [continued(path)[1] for _ in range(2)] == [0, COUNT]
    _value_of_item(13)(path)
    assert (continued(path)[1], path.read_bytes()) == (0, whole)
    assert continued(path, replace(HEADER, recipe={"seed": (1, 2)}))[1] == 0
    assert continued(path, replace(HEADER, recipe={"seed": (1, 2)}))[1] == COUNT


def test_two_at_once_are_refused_and_the_first_goes_on(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "set.h5"
    unfinished = stopped(path, 18)
    with unfinished.open() as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another that has it open"):
            continued(path)
    data, start = continued(path)
    assert (start, data.path.read_bytes()) == (16, whole)


PEAK = """
import sys
from itertools import repeat
from pathlib import Path
from tests.subtomograms import test_interrupted_set as script
from tomodistill.subtomograms import row_file
from tomodistill.subtomograms.dataset import SetHeader, open_set, write_set

box = 32
row_file.BLOCK_BYTES = 16 * 4 * box**3
header = SetHeader("long", ("a", "b"), box, 10.0, "dark", "right", {})

def peak(count):
    def items(start):
        volume = script.make(0, box).volume
        return (script.replace(script.make(i), volume=volume.copy()) for i in range(start, count))
    write_set(Path(sys.argv[1]), header, items, count)
    open_set(Path(sys.argv[1]), verify=True)
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(status["VmHWM"].split()[0]) / 1024

print(peak(48), peak(480))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells a process's peak")
def test_memory_does_not_grow_with_the_set(tmp_path: Path) -> None:
    """Blocks of 2 MiB; sets of 6 and 60 MiB."""
    paths = os.pathsep.join(str(p) for p in sys.path)
    run = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path / "set.h5")],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    small, large = map(float, run.stdout.split())  # MiB
    assert (tmp_path / "set.h5").stat().st_size > 60 * 2**20
    assert large - small < 6
