"""A job from where it stands to its end: missing shards, verified merge."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from tomodistill.bulk.backends import Backend
from tomodistill.bulk.job import PLANNING, PLANNING_SECONDS, SHARDS, Job
from tomodistill.bulk.merge import Merged, merge
from tomodistill.bulk.progress import Progress
from tomodistill.bulk.results import PARTIAL
from tomodistill.bulk.run import run_shards
from tomodistill.errors import InputError
from tomodistill.subtomograms.files import remove_abandoned

_MERGES = 3  # of which each found damaged shards: then something damages them

OpenBackend = Callable[[], Backend]


@dataclass(frozen=True)
class Completed:
    """What came of a job."""

    merged: Merged
    aside: dict[int, str]  # shards that were set aside, and why
    particles: int  # that were computed now
    seconds: float  # by the clock, for these
    by_step: dict[str, float]  # seconds of all workers


def complete(job: Job, open_backend: OpenBackend, progress: Progress) -> Completed:
    """Compute what is missing, verify all, merge it; what was damaged is computed again.

    Raises InputError if results are damaged again and again, and if the backend is gone.
    """
    for _ in range(_MERGES):
        aside = compute(job, open_backend, missing(job), progress)
        merged = merge(job, aside)
        if not merged.damaged:
            _tidy(job)
            return Completed(
                merged, aside, progress.counted, progress.elapsed, dict(progress.by_step)
            )
        print(f"predict: {len(merged.damaged)} damaged shards are computed again", flush=True)
    raise InputError(
        expected="shards that stay as they were written",
        found=f"damaged ones after each of {_MERGES} merges, the last {merged.damaged[0]}",
        todo="Check the disk, or give another folder with out=.",
    )


def compute(
    job: Job, open_backend: OpenBackend, shards: Sequence[int], progress: Progress
) -> dict[int, str]:
    """Classify these shards; returns those that were set aside, and why."""
    if not shards:
        return {}
    with closing(open_backend()) as backend:
        return run_shards(
            job, backend, shards, on_done=lambda o: progress.count(job.size(o.shard), o)
        )


def missing(job: Job, *, part: int = 1, of: int = 1) -> list[int]:
    """Shards that do not stand, of the `part` of a job array with `of` tasks, counted from 1."""
    standing = job.standing()
    return [shard for shard in range(part - 1, len(job.shards), of) if shard not in standing]


def _tidy(job: Job) -> None:
    """Remove what processes that were killed have left."""
    remove_abandoned(job.folder / SHARDS, f"*/*{PARTIAL}")
    remove_abandoned(job.folder, f"{PLANNING}*", after=PLANNING_SECONDS)
