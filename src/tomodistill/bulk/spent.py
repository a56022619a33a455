"""What a job took, all its runs together: each leaves a note."""

import json
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tomodistill.bulk.job import Job
from tomodistill.bulk.progress import Progress
from tomodistill.subtomograms.files import whole_file

_FOLDER = "runs"


@dataclass(frozen=True)
class Spent:
    """By all runs that were not killed."""

    particles: int
    wall: float  # s in which any of them ran: the tasks of a job array run side by side
    by_step: dict[str, float]  # s of all workers together


def note_time(job: Job, progress: Progress) -> None:
    """Of a run that ends."""
    if not progress.counted:
        return
    with whole_file(job.folder / _FOLDER / f"{uuid.uuid4().hex}.json") as path:
        ended = time.time()
        ran = {"began": ended - progress.elapsed, "ended": ended}
        note = {"particles": progress.counted, **ran, "by_step": progress.by_step}
        path.write_text(json.dumps(note) + "\n")


def time_spent(job: Job) -> Spent:
    """Of all runs so far."""
    notes = [json.loads(path.read_text()) for path in (job.folder / _FOLDER).glob("*.json")]
    by_step = Counter[str]()
    for note in notes:
        by_step.update(note["by_step"])
    wall = _covered((note["began"], note["ended"]) for note in notes)
    return Spent(sum(note["particles"] for note in notes), wall, dict(by_step))


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds that lie in any of the spans."""
    total, reached = 0.0, 0.0
    for began, ended in sorted(spans):
        total += max(ended - max(began, reached), 0)
        reached = max(reached, ended)
    return total
