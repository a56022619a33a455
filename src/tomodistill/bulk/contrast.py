"""Whether the particles of a job are dark or bright: as a flag or their files say, else by vote."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tomodistill.bulk.job import Facts, Job
from tomodistill.bulk.reading import at_a_time, read_blocks
from tomodistill.particles.agreement import one_contrast
from tomodistill.particles.options import AUTO
from tomodistill.subtomograms.preprocessing import Contrast
from tomodistill.tomograms.contrast import Vote, vote_contrast

ONE_JOB_EACH = "Classify each in a job of its own"
_SHARDS, _OF_EACH = 16, 16  # that are asked for the vote


def decide_contrast(job: Job, stated: set[Contrast | None]) -> Facts:
    """What is known of the volumes of a drafted job, contrast included.

    Raises InputError if some of its files state one and some another.
    """
    contrast = one_contrast(stated, job.config.contrast, instead=ONE_JOB_EACH)
    if contrast is None:
        return _voted(job)
    given = job.config.contrast != AUTO
    return replace(
        job.facts, contrast=contrast, contrast_from="the flag" if given else "the files' headers"
    )


def _voted(job: Job) -> Facts:
    """By particles from all over the job; what cannot be decided is taken to be as in training."""
    votes = [vote_contrast(volumes) for volumes in _sample(job)]
    vote = Vote(sum(each.dark for each in votes), sum(each.bright for each in votes))
    words = f"{vote.dark} of {vote.dark + vote.bright} boxes dark, {vote.bright} bright"
    if vote.verdict:
        return replace(job.facts, contrast=vote.verdict, contrast_from=f"a vote: {words}")
    warning = f"contrast: no clear vote ({words}), taken to be the model's: {job.facts.contrast}"
    return replace(job.facts, contrast_from="the model", warnings=(*job.facts.warnings, warning))


def _sample(job: Job) -> Iterator[NDArray[np.float32]]:
    """(m, d, d, d) of a few particles, time and again: of up to 256 in all."""
    count = len(job.shards)
    for shard in np.unique(np.linspace(0, count - 1, min(count, _SHARDS)).astype(int)).tolist():
        task = job.task(shard)
        few = task.places[:: -(-len(task.places) // _OF_EACH)]
        size = at_a_time(_OF_EACH, job.facts.edge)
        for block in read_blocks(job, replace(task, places=few), size):
            yield block.volumes
