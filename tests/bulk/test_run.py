"""Every shard once: tried again, set aside, never more at a time than there is room."""

import json
from collections import deque
from pathlib import Path
from types import SimpleNamespace

import pytest

from tomodistill.bulk.backends import Outcome
from tomodistill.bulk.run import ATTEMPTS, HOPELESS, LOSSES, run_shards, set_aside_path
from tomodistill.errors import InputError


class Scripted:
    """Fails shards as often as it is told to; keeps count of what it had."""

    def __init__(self, fails: dict[int, int] | None = None, *, lost: bool = False) -> None:
        self.fails, self.lost = dict(fails or {}), lost
        self.waiting: deque[int] = deque()
        self.taken: list[int] = []
        self.most = 0

    def room(self) -> int:
        return 2

    def submit(self, shard: int) -> None:
        self.waiting.append(shard)
        self.taken.append(shard)
        self.most = max(self.most, len(self.waiting))

    def next(self) -> Outcome:
        shard = self.waiting.popleft()
        if self.fails.get(shard, 0):
            self.fails[shard] -= 1
            return Outcome(shard, fault="ValueError: torn", lost=self.lost)
        return Outcome(shard)

    def close(self) -> None: ...


@pytest.fixture
def job(tmp_path: Path) -> SimpleNamespace:
    return SimpleNamespace(folder=tmp_path, size=lambda shard: 10, standing=lambda: {1000})


def test_each_shard_is_computed_once_and_no_more_than_there_is_room(job) -> None:
    backend, done = Scripted(), []
    assert run_shards(job, backend, range(7), on_done=done.append) == {}
    assert backend.taken == [*range(7)]
    assert sorted(outcome.shard for outcome in done) == [*range(7)]
    assert backend.most == 2


@pytest.mark.parametrize("shards", [1, 1000])
def test_a_job_of_which_nothing_succeeds_ends_early(job, shards: int) -> None:
    backend = Scripted(dict.fromkeys(range(shards), ATTEMPTS))
    job.standing = set
    with pytest.raises(InputError, match="found none; the last failed so: ValueError: torn"):
        run_shards(job, backend, range(shards))
    assert len(backend.taken) <= HOPELESS + backend.room()


def test_a_job_of_which_something_stands_goes_on(job) -> None:
    assert len(run_shards(job, Scripted(dict.fromkeys(range(100), ATTEMPTS)), range(100))) == 100


def test_what_failed_waits_behind_all_others(job) -> None:
    backend = Scripted({0: ATTEMPTS - 1})
    assert run_shards(job, backend, range(4)) == {}
    assert backend.taken == [0, 1, 2, 3, 0, 0]


def test_what_fails_always_is_set_aside_with_its_reason(job) -> None:
    backend = Scripted({1: 99})
    assert run_shards(job, backend, range(3)) == {1: "ValueError: torn"}
    assert backend.taken.count(1) == ATTEMPTS
    told = json.loads(set_aside_path(job, 1).read_text())
    assert told == {"shard": 1, "particles": 10, "reason": "ValueError: torn"}
    assert run_shards(job, Scripted(), [1]) == {}  # mended
    assert not set_aside_path(job, 1).exists()


def test_a_lost_worker_counts_less_than_a_fault(job) -> None:
    backend = Scripted({0: LOSSES - 1, 1: LOSSES}, lost=True)
    assert [*run_shards(job, backend, range(3))] == [1]
    assert backend.taken.count(0) == backend.taken.count(1) == LOSSES


def test_a_backend_that_is_gone_ends_the_run(job) -> None:
    backend = Scripted()

    def gone() -> Outcome:
        raise InputError(expected="a scheduler", found="none", todo="Start it.")

    backend.next = gone  # type: ignore[method-assign]
    with pytest.raises(InputError, match="a scheduler"):
        run_shards(job, backend, range(3))
