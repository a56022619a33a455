from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from tomodistill.subtomograms import prepared, row_file
from tomodistill.subtomograms.dataset import Item, SetHeader, SubtomogramSet, write_set
from tomodistill.subtomograms.prepared import PreparedVolumes, free_memory, in_memory_if_they_fit
from tomodistill.subtomograms.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(lowpass=30.0)


@pytest.fixture
def joined(
    subtomogram_set: SubtomogramSet, header: SetHeader, items: list[Item], tmp_path: Path
) -> PreparedVolumes:
    """Eleven volumes: six of one set, then five of another in the other storage."""
    other = write_set(tmp_path / "o.h5", header, lambda n: items[n:5], 5, storage="float16")
    parts = [(subtomogram_set, subtomogram_set.rows("train")), (other, np.arange(5))]
    return PreparedVolumes(parts, PREPROCESSING)


def test_the_volumes_of_all_parts_in_their_order(joined: PreparedVolumes) -> None:
    of_parts = [data.preprocessed(rows, PREPROCESSING) for data, rows in joined.parts]
    assert len(joined) == 11
    np.testing.assert_array_equal(joined[np.arange(11)], np.concatenate(of_parts))
    rows = np.array([10, 0, 5, 6, 6, 3])
    np.testing.assert_array_equal(joined[rows], np.concatenate(of_parts)[rows])


def test_read_at_once_they_are_the_same_bit_for_bit(
    joined: PreparedVolumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_file, "BLOCK_BYTES", 3 * 4 * 8**3)  # three volumes
    whole = joined.read()
    assert whole.dtype == np.float32
    with ThreadPoolExecutor(3) as threads:
        one_by_one = list(threads.map(lambda row: joined[np.array([row])][0], range(11)))
    np.testing.assert_array_equal(whole, one_by_one)
    np.testing.assert_array_equal(whole, joined[np.arange(11)])


@pytest.mark.parametrize(("free", "held"), [(3 * 11 * 4 * 8**3, True), (33 * 4 * 8**3 - 3, False)])
def test_a_third_of_the_free_memory_may_be_taken(
    joined: PreparedVolumes, free: int, held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "free_memory", lambda: free)
    taken = in_memory_if_they_fit(joined)
    assert isinstance(taken, np.ndarray) == held
    np.testing.assert_array_equal(taken[np.arange(11)], joined.read())


def test_free_memory_knows_limits_of_containers_and_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = namedtuple("Memory", "available")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory(8000))
    monkeypatch.setattr(prepared, "_CGROUPS", tmp_path)
    monkeypatch.setattr(prepared, "_OWN_CGROUP", tmp_path / "cgroup")
    assert free_memory() == 8000
    (tmp_path / "job/step").mkdir(parents=True)
    (tmp_path / "cgroup").write_text("1:cpu:/x\n0::/job/step\n")
    (tmp_path / "job/step/memory.max").write_text("max\n")
    assert free_memory() == 8000
    (tmp_path / "job/memory.max").write_text("3000\n")
    (tmp_path / "job/memory.stat").write_text("anon 400\nfile 2000\n")
    assert free_memory() == 2600  # files in the cache make way
