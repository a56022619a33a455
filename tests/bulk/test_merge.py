"""The verified merge: in the order of the list, each once, damage found."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.bulk.synthetic import make_job
from tomodistill.bulk.complete import missing
from tomodistill.bulk.job import Job
from tomodistill.bulk.merge import list_results, merge
from tomodistill.bulk.results import NOT_CLASSIFIED, Reason, Results, write_results
from tomodistill.errors import InputError


@pytest.fixture
def job(tmp_path: Path, version: Path) -> Job:
    """All shards stand; the probability of class 0 of row i is i / 100."""
    made = make_job(tmp_path, version)
    for shard in range(len(made.shards)):
        _write(made, shard)
    return made


def _write(job: Job, shard: int, rows: np.ndarray | None = None) -> None:
    rows = job.task(shard).places["row"] if rows is None else rows
    probabilities = np.full((len(rows), 3), 0.0, np.float32)
    probabilities[:, 0] = rows / 100
    results = Results(
        rows,
        (rows % 3).astype(np.int16),
        probabilities,
        scores=rows / 10,
        reasons=np.zeros(len(rows), np.uint8),
        made_by="engine",
    )
    write_results(job.shard_path(shard), results, job=job.digest, shard=shard)


def test_rows_come_in_the_order_of_their_list(job: Job) -> None:
    order = np.concatenate([job.task(shard).places["row"] for shard in range(len(job.shards))])
    assert not np.array_equal(order, np.arange(20))  # of work: by tomogram
    assert merge(job).damaged == ()
    rows = list_results(job, 0)
    np.testing.assert_allclose(rows["probabilities"][:, 0], np.arange(20) / 100)
    np.testing.assert_array_equal(rows["class"], np.arange(20) % 3)


@pytest.mark.parametrize("harm", ["torn", "flipped", "gone", "of another shard"])
def test_a_damaged_shard_is_found_and_is_missing_then(job: Job, harm: str) -> None:
    path = job.shard_path(2)
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    if harm == "gone":
        path.unlink()
    elif harm == "of another shard":
        path.write_bytes(job.shard_path(1).read_bytes())
    else:
        path.write_bytes(body[:100] if harm == "torn" else body)
    assert merge(job).damaged == (2,)
    assert missing(job) == [2]
    assert not (job.folder / "results" / "00000.npy").exists()
    _write(job, 2)
    assert merge(job).damaged == ()


def test_a_row_twice_or_never_is_no_result(job: Job) -> None:
    rows = job.task(1).places["row"]
    job.shard_path(1).unlink()
    _write(job, 1, np.full(len(rows), rows[0]))
    with pytest.raises(InputError, match="one result of each particle; found none of row"):
        merge(job)
    job.shard_path(1).unlink()
    _write(job, 1, job.task(0).places["row"])
    with pytest.raises(InputError, match="a second time"):
        merge(job)


def test_what_was_set_aside_is_told_as_such(job: Job) -> None:
    aside = job.task(3).places["row"]
    job.shard_path(3).unlink()
    assert merge(job, [3]).damaged == ()
    rows = list_results(job, 0)
    assert (rows["reason"][aside] == Reason.SET_ASIDE).all()
    assert (rows["class"][aside] == NOT_CLASSIFIED).all()
    assert (np.delete(rows["reason"], aside) == Reason.CLASSIFIED).all()


def test_results_of_another_job_are_none(job: Job) -> None:
    assert len(merge(replace(job, digest="0" * 64)).damaged) == len(job.shards)


def test_a_disk_that_is_full_is_told_before_anything_is_mapped(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left") as told:
        merge(job)
    assert "00000.npy" in str(told.value)
    assert list((job.folder / "results").iterdir()) == []
