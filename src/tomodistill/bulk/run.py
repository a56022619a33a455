"""Every shard once: tries again what failed, sets aside what fails always, says how far it is."""

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable
from pathlib import Path

from tomodistill.bulk.backends import Backend, Outcome
from tomodistill.bulk.job import SET_ASIDE, Job
from tomodistill.errors import InputError
from tomodistill.subtomograms.files import whole_file

ATTEMPTS = 3  # at a shard, before it is set aside
LOSSES = 5  # likewise, of workers that died while they had it: mostly for other reasons
HOPELESS = 60  # faults where no shard stands: it is the model, or what all need


def run_shards(
    job: Job,
    backend: Backend,
    shards: Iterable[int],
    *,
    on_done: Callable[[Outcome], None] = lambda outcome: None,
) -> dict[int, str]:
    """Compute `shards`; returns those that were set aside, and why.

    What failed waits behind all others: its cause may pass. Raises InputError if the backend is
    gone, the disk is full, or nothing but faults came; what was computed stands.
    """
    waiting, under_way, tries = deque(shards), 0, _Tries(job)
    while waiting or under_way:
        while waiting and under_way < max(backend.room(), 1):
            backend.submit(waiting.popleft())
            under_way += 1
        outcome = backend.next()
        under_way -= 1
        if not outcome.fault:
            _forget(job, outcome.shard)
            on_done(outcome)
        elif tries.again(outcome):
            waiting.append(outcome.shard)
    tries.check_hope()
    return tries.aside


class _Tries:
    """What failed, how often, and what was set aside for it."""

    def __init__(self, job: Job) -> None:
        self.aside: dict[int, str] = {}
        self._job = job
        self._faults, self._losses = Counter[int](), Counter[int]()

    def again(self, outcome: Outcome) -> bool:
        """Whether to try this shard again; else it is set aside.

        Raises InputError for a full disk, and if nothing but faults came.
        """
        if outcome.full:
            raise _full(outcome, self._job)
        shard = outcome.shard
        (self._losses if outcome.lost else self._faults)[shard] += 1
        if self._faults.total() >= HOPELESS:
            self._check_any(outcome.fault)
        if self._faults[shard] < ATTEMPTS and self._losses[shard] < LOSSES:
            return True
        self.aside[shard] = outcome.fault
        _set_aside(self._job, outcome)
        return False

    def check_hope(self) -> None:
        """Raises InputError if all that was tried was set aside."""
        if self.aside:
            self._check_any(next(reversed(self.aside.values())))

    def _check_any(self, fault: str) -> None:
        if not self._job.standing():
            raise InputError(
                expected="shards that can be classified",
                found=f"none; the last failed so: {fault}",
                todo="Mend that and give the same command again.",
            )


def set_aside_path(job: Job, shard: int) -> Path:
    """Where the reason stands why a shard was set aside."""
    return job.folder / SET_ASIDE / f"{shard:07d}.json"


def _full(outcome: Outcome, job: Job) -> InputError:
    return InputError(
        expected="room to write",
        found=f"a full disk or quota in the job {job.folder}: {outcome.fault}",
        todo="Make room and give the same command again: it continues with what is missing.",
    )


def _set_aside(job: Job, outcome: Outcome) -> None:
    with whole_file(set_aside_path(job, outcome.shard)) as path:
        text = {"shard": outcome.shard, "particles": job.size(outcome.shard)}
        path.write_text(json.dumps({**text, "reason": outcome.fault}, indent=2) + "\n")


def _forget(job: Job, shard: int) -> None:
    """It was set aside before, and succeeded now."""
    set_aside_path(job, shard).unlink(missing_ok=True)
