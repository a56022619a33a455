"""What a job took, all its runs together: each leaves a note."""

import json
import uuid
from collections import Counter
from dataclasses import dataclass

from tomodistill.bulk.job import Job
from tomodistill.bulk.progress import Progress
from tomodistill.subtomograms.files import whole_file

_FOLDER = "runs"


@dataclass(frozen=True)
class Spent:
    """Seconds of all runs that were not killed."""

    wall: float
    by_step: dict[str, float]  # of all workers together


def note_time(job: Job, progress: Progress) -> None:
    """Of a run that ends."""
    if not progress.counted:
        return
    with whole_file(job.folder / _FOLDER / f"{uuid.uuid4().hex}.json") as path:
        note = {"particles": progress.counted, "wall": progress.elapsed}
        path.write_text(json.dumps({**note, "by_step": progress.by_step}) + "\n")


def time_spent(job: Job) -> Spent:
    """Of all runs so far."""
    wall, by_step = 0.0, Counter[str]()
    for path in (job.folder / _FOLDER).glob("*.json"):
        note = json.loads(path.read_text())
        wall += note["wall"]
        by_step.update(note["by_step"])
    return Spent(wall, dict(by_step))
