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
    waiting, under_way = deque(shards), 0
    faults, losses, aside = Counter[int](), Counter[int](), dict[int, str]()
    while waiting or under_way:
        while waiting and under_way < max(backend.room(), 1):
            backend.submit(waiting.popleft())
            under_way += 1
        outcome = backend.next()
        under_way -= 1
        if not outcome.fault:
            _forget(job, outcome.shard)
            on_done(outcome)
            continue
        if outcome.full:
            raise _full(outcome)
        (losses if outcome.lost else faults)[outcome.shard] += 1
        if faults.total() >= HOPELESS and not job.standing():
            raise _hopeless(outcome)
        if faults[outcome.shard] < ATTEMPTS and losses[outcome.shard] < LOSSES:
            waiting.append(outcome.shard)
        else:
            aside[outcome.shard] = outcome.fault
            _set_aside(job, outcome)
    if aside and not job.standing():
        raise _hopeless(outcome)
    return aside


def set_aside_path(job: Job, shard: int) -> Path:
    """Where the reason stands why a shard was set aside."""
    return job.folder / SET_ASIDE / f"{shard:07d}.json"


def _hopeless(outcome: Outcome) -> InputError:
    return InputError(
        expected="shards that can be classified",
        found=f"none; the last failed so: {outcome.fault}",
        todo="Mend that and give the same command again.",
    )


def _full(outcome: Outcome) -> InputError:
    return InputError(
        expected="room to write",
        found=outcome.fault,
        todo="Make room and give the same command again: it continues with what is missing.",
    )


def _set_aside(job: Job, outcome: Outcome) -> None:
    with whole_file(set_aside_path(job, outcome.shard)) as path:
        text = {"shard": outcome.shard, "particles": job.size(outcome.shard)}
        path.write_text(json.dumps({**text, "reason": outcome.fault}, indent=2) + "\n")


def _forget(job: Job, shard: int) -> None:
    """It was set aside before, and succeeded now."""
    set_aside_path(job, shard).unlink(missing_ok=True)
