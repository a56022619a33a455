"""Particles to be looked at: a few of each class as the network sees them, and class averages."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tomodistill.bulk.job import Job, Task, plan_files
from tomodistill.bulk.outputs import Gathered
from tomodistill.bulk.reading import at_a_time, read_blocks
from tomodistill.bulk.results import Reason
from tomodistill.evaluation.class_averages import aligned_mean
from tomodistill.evaluation.classification_counts import spread
from tomodistill.evaluation.classification_page import SHOWN, Average, Example
from tomodistill.inference.preparation import prepare

_BLOCK = 32  # volumes in memory at a time, as stored

Volumes = dict[int, NDArray[np.float32]]  # row among all lists -> (e, e, e) as the network sees it


def examples(job: Job, gathered: Gathered) -> dict[int, list[Example]]:
    """Class number -> up to SHOWN of its particles, from the most probable to the least."""
    chosen = {}
    for number in _classes(gathered):
        rows, probabilities = gathered.samples.of(number)
        which = spread(len(rows), SHOWN)
        chosen[number] = list(zip(rows[which].tolist(), probabilities[which].tolist(), strict=True))
    volumes = _volumes(job, [row for of in chosen.values() for row, _ in of])
    return {
        number: [
            Example(gathered.sampled[row].id, probability, volumes[row])
            for row, probability in of
            if row in volumes
        ]
        for number, of in chosen.items()
    }


def averages(job: Job, gathered: Gathered) -> dict[int, Average]:
    """Class number -> the mean of its particles, turned as the list's angles say; of those alone
    that have angles.
    """
    if job.config.handedness == "mirrored":  # angles are of the volumes as they came
        return {}
    found = {}
    for number in _classes(gathered):
        rows = [int(row) for row in gathered.samples.of(number)[0] if _turned(gathered, row)]
        volumes = _volumes(job, rows)
        if volumes:
            angles = np.array([gathered.sampled[row].angles for row in volumes], np.float64)
            mean = aligned_mean(np.stack(list(volumes.values())), angles)
            found[number] = Average(mean, len(volumes))
    return found


def _classes(gathered: Gathered) -> range:
    """But not the last, `not_classified`."""
    return range(1, len(gathered.names))


def _turned(gathered: Gathered, row: int) -> bool:
    angles = gathered.sampled[row].angles
    return angles is not None and bool(np.isfinite(angles).all())


def _volumes(job: Job, rows: Sequence[int]) -> Volumes:
    """Of particles that were classified; their files may be gone since."""
    found: Volumes = {}
    first = 0
    for at, listed in enumerate(job.lists):
        here = np.array(rows, np.int64) - first
        here = here[(here >= 0) & (here < listed.count)]
        if len(here):
            found |= {first + row: volume for row, volume in _of_list(job, at, here)}
        first += listed.count
    return found


def _of_list(job: Job, at: int, rows: NDArray[np.int64]) -> "list[tuple[int, NDArray[np.float32]]]":
    places, files = (np.load(path, mmap_mode="r") for path in plan_files(job.folder, at))
    task = Task(at, np.array(places[np.isin(places["row"], rows)]), files)
    found, start = [], 0
    for block in read_blocks(job, task, at_a_time(_BLOCK, job.facts.edge)):
        there = block.reasons <= Reason.PADDED
        of_block = task.places["row"][start : start + len(there)][there]
        prepared = prepare(
            job.manifest,
            block.volumes,
            voxel_spacing=job.facts.voxel_spacing,
            contrast=job.facts.contrast,
        )
        found += list(zip(of_block.tolist(), prepared.volumes, strict=True))
        start += len(there)
    return found
