"""What users get: every list as it came in and classified, and what the page is made of."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tomodistill.bulk.inputs import BOXES, check_unchanged
from tomodistill.bulk.job import LISTS, Job, plan_files
from tomodistill.bulk.merge import list_results
from tomodistill.bulk.results import NOT_CLASSIFIED, Reason
from tomodistill.evaluation.classification_counts import Confidences, Samples, Tally
from tomodistill.inference.confidence import UNKNOWN
from tomodistill.inference.version import Manifest
from tomodistill.particles.lists import Classified, ParticleList
from tomodistill.particles.reading import read_particles
from tomodistill.particles.writing import write_classified


@dataclass(frozen=True)
class Sampled:
    """A particle that may stand for its class on the page."""

    id: str
    angles: NDArray[np.float64] | None  # (3,) rot, tilt, psi in degrees


@dataclass
class Gathered:
    """What the page needs of all lists."""

    names: tuple[str, ...]  # of class numbers 1, 2, ...
    confidences: Confidences
    samples: Samples
    tally: Tally
    reasons: Counter[Reason] = field(default_factory=Counter)
    sampled: dict[int, Sampled] = field(default_factory=dict)  # row among all lists -> particle


def class_numbers_named(manifest: Manifest) -> tuple[str, ...]:
    """Names of class numbers 1, 2, ...: never 0, which RELION takes for none."""
    unknown = ("unknown",) if manifest.unknown else ()
    return (*manifest.class_names, *unknown, "not_classified")


def write_lists(job: Job) -> Gathered:
    """Write each list with its classes; one list is in memory at a time.

    Raises InputError for a list that is not as it was when the job was planned.
    """
    names = class_numbers_named(job.manifest)
    count = len(names)
    gathered = Gathered(names, Confidences(count), Samples(count), Tally(count))
    first = 0
    for at, (particles, folder) in enumerate(zip(_lists(job), _folders(job), strict=True)):
        rows = list_results(job, at)
        classified = _classified(rows, names)
        write_classified(particles, classified, folder)
        _gather(gathered, particles, classified, rows["reason"], first)
        first += len(particles)
    return gathered


def _lists(job: Job) -> Iterator[ParticleList]:
    for at, listed in enumerate(job.lists):
        check_unchanged(listed)
        boxes = listed.dialect == BOXES
        yield _boxes(job, at) if boxes else read_particles(Path(listed.path))


def _boxes(job: Job, at: int) -> ParticleList:
    """What was given without a list, as one: RELION's names of boxes."""
    places, files = (np.load(path) for path in plan_files(job.folder, at))
    order = np.argsort(places["row"])
    paths = np.array([os.fsdecode(path) for path in files["path"].tolist()], object)
    file, position = places["file"][order], places["at"][order, 0].astype(np.int64)
    alone = (np.bincount(file, minlength=len(paths))[file] == 1) & (position == 0)
    stacked = np.char.add(np.char.zfill((position + 1).astype(str), 6), "@").astype(object)
    names = np.where(alone, paths[file], stacked + paths[file])
    path = Path(f"{job.lists[at].path}.star")
    blocks = {"particles": pd.DataFrame({"rlnImageName": names})}
    return ParticleList(path, BOXES, blocks, "particles", ids=names, images=names)


def _folders(job: Job) -> list[Path]:
    """Where each list goes: into a folder of its own if another one has its name too."""
    folder, stems = job.folder / LISTS, [Path(listed.path).stem for listed in job.lists]
    lists = Counter(stems)
    return [
        folder if lists[stem] == 1 else folder / f"{number:05d}"
        for number, stem in enumerate(stems, 1)
    ]


def _classified(rows: NDArray[np.void], names: tuple[str, ...]) -> Classified:
    classes = rows["class"].astype(np.int64)
    known = classes >= 0
    numbers = np.where(known, classes + 1, 0)
    numbers[classes == UNKNOWN] = len(names) - 1
    numbers[classes == NOT_CLASSIFIED] = len(names)
    probabilities = np.nan_to_num(rows["probabilities"].max(axis=1), nan=0.0)
    scores = rows["score"] if "unknown" in names[-2:] else None
    return Classified(names, numbers, probabilities, None if scores is None else np.array(scores))


def _gather(
    gathered: Gathered,
    particles: ParticleList,
    classified: Classified,
    reasons: NDArray[np.uint8],
    first: int,
) -> None:
    numbers, probabilities = classified.numbers, classified.probabilities
    rows = np.arange(first, first + len(numbers))
    gathered.confidences.add(numbers, probabilities, classified.scores)
    gathered.samples.add(rows, numbers, probabilities)
    tomograms = particles.tomograms
    of_list = np.full(len(numbers), particles.path.name, object)
    gathered.tally.add(of_list if tomograms is None else tomograms, numbers)
    found, counts = np.unique(reasons, return_counts=True)
    gathered.reasons.update(dict(zip(map(Reason, found.tolist()), counts.tolist(), strict=True)))
    for number in range(1, len(gathered.names) + 1):
        chosen, _ = gathered.samples.of(number)
        for row in chosen[chosen >= first].tolist():
            angles = None if particles.angles is None else particles.angles[row - first]
            gathered.sampled[row] = Sampled(str(particles.ids[row - first]), angles)
