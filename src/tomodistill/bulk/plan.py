"""From what a user names to a job: every particle has its place, before anything is computed.

Lists are read one after the other, so that memory is bounded by the longest. Within a list
particles are ordered by file and place: a tomogram is opened once, and its pages are read once.
"""

import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomodistill import places
from tomodistill.bulk.config import BulkConfig
from tomodistill.bulk.contrast import ONE_JOB_EACH, decide_contrast
from tomodistill.bulk.inputs import Input, check_unchanged, read_inputs
from tomodistill.bulk.job import (
    LISTS,
    MANIFEST,
    MODEL,
    PAGE,
    PLAN,
    PLANNING,
    PLANNING_SECONDS,
    RESULTS,
    SHARD_TABLE,
    SHARDS,
    Facts,
    Job,
    Listed,
    plan_files,
    seal,
)
from tomodistill.bulk.reading import edge_to_read
from tomodistill.errors import InputError
from tomodistill.inference.classifier import trained_priors
from tomodistill.inference.confidence import complete_priors
from tomodistill.inference.preparation import used_box
from tomodistill.inference.version import Manifest, read_manifest
from tomodistill.particles.agreement import one_spacing
from tomodistill.subtomograms.files import remove_abandoned, to_disk
from tomodistill.subtomograms.preprocessing import Contrast

_FAR_WIDER = 2  # times what the model sees


def plan(folder: Path, config: BulkConfig, *, version: Path, model: str) -> Job:
    """The job of this `config` in `folder`, with the model of the folder `version`.

    Nothing stands before all of it does; of several processes that plan at once the first wins.
    Raises InputError for whatever stands against the files, before anything is computed. See
    `check_same`: the first may have had another `config`.
    """
    made = not folder.exists()
    places.writable(folder, flag="out")
    _check_free(folder)
    remove_abandoned(folder, f"{PLANNING}*", after=PLANNING_SECONDS)
    draft = folder / f"{PLANNING}{uuid.uuid4().hex}"
    (draft / PLAN).mkdir(parents=True)
    try:
        manifest = read_manifest(version)
        if config.shares:
            complete_priors(config.shares, trained_priors(manifest))
        shutil.copytree(version, draft / MODEL)
        _write(draft, config, manifest, model)
        _publish(draft / PLAN, folder / PLAN)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if made:
            with suppress(OSError):  # it is a job's
                folder.rmdir()
    return Job.open(folder)


def _check_free(folder: Path) -> None:
    """Raises InputError for a folder in which a job would write over what is not its own."""
    taken = [name for name in (LISTS, PAGE, SHARDS, RESULTS) if (folder / name).exists()]
    if taken and not (folder / MANIFEST).exists():  # another process may just have planned
        raise InputError(
            expected="an empty folder, or that of a job",
            found=f"{', '.join(taken)} in {folder}",
            todo="Give another folder with out=.",
        )


def check_same(job: Job, config: BulkConfig) -> None:
    """Raises InputError unless `config` is the job's, and its lists are as they were."""
    for name in (each.name for each in fields(config)):
        was, wanted = getattr(job.config, name), getattr(config, name)
        if was != wanted:
            raise InputError(
                expected=f"{name}={was}, with which the job in {job.folder} began",
                found=f"{name}={wanted}",
                todo="Give another folder with out=, or the flags of that job.",
            )
    for listed in job.lists:
        check_unchanged(listed)


@dataclass
class _Read:
    """What is known of the lists that were read so far."""

    lists: list[Listed] = field(default_factory=list)
    shards: list[NDArray[np.int64]] = field(default_factory=list)  # (s, 3) of each list
    spacings: dict[float | None, Path] = field(default_factory=dict)  # and a file that states it
    contrasts: set[Contrast | None] = field(default_factory=set)
    edges: set[int] = field(default_factory=set)  # of boxes

    def add(self, given: Input, config: BulkConfig) -> None:
        """One more list."""
        self.shards.append(_shards(len(self.lists), given, config))
        self.lists.append(given.listed)
        self.spacings |= {file.voxel_spacing: file.path for file in given.files}
        self.contrasts |= {file.contrast for file in given.files}
        self.edges |= {file.edge for file in given.files if file.edge}


def _write(draft: Path, config: BulkConfig, manifest: Manifest, model: str) -> None:
    read = _Read()
    for given in _written(draft, read_inputs(config)):
        read.add(given, config)
    np.save(draft / SHARD_TABLE, np.concatenate(read.shards))
    facts = _facts(read, config, manifest)
    job = Job(draft, config, model, tuple(read.lists), facts, digest="")
    seal(replace(job, facts=decide_contrast(job, read.contrasts)))


def _facts(read: _Read, config: BulkConfig, manifest: Manifest) -> Facts:
    """All but the contrast, which the volumes may have to tell."""
    spacing = one_spacing(read.spacings, config.known_spacing, instead=ONE_JOB_EACH)
    edges = read.edges or {edge_to_read(manifest, spacing)}
    warnings = (_edge_warning(manifest, edge, spacing) for edge in edges)
    return Facts(
        edge=max(edges),
        voxel_spacing=spacing,
        contrast=manifest.contrast,
        contrast_from="",
        warnings=tuple(filter(None, warnings)),
    )


def _written(draft: Path, inputs: Iterable[Input]) -> Iterator[Input]:
    """The same, their places on the disk."""
    for at, given in enumerate(inputs):
        to_places, to_files = plan_files(draft, at)
        np.save(to_places, given.places)
        np.save(to_files, given.file_table())
        yield given


def _shards(at: int, given: Input, config: BulkConfig) -> NDArray[np.int64]:
    """(s, 3) list, first and last place. A tomogram begins a shard: one that is damaged takes no
    particles of others with it.
    """
    files, size = given.places["file"], config.shard
    count = len(files)
    begins = np.flatnonzero(np.diff(files, prepend=-1)) if config.cropped else np.array([0])
    ends = [*begins[1:].tolist(), count]
    edges = [
        (at, start, min(start + size, end))
        for begin, end in zip(begins.tolist(), ends, strict=True)
        for start in range(begin, end, size)
    ]
    return np.array(edges, np.int64)


def _edge_warning(manifest: Manifest, edge: int, spacing: float) -> str:
    """On boxes far wider than what the model sees of them, "" for others: are they tomograms?

    Raises InputError for those that it cannot take.
    """
    used = used_box(manifest, (1, edge, edge, edge), spacing)
    if edge < _FAR_WIDER * used:
        return ""
    return f"boxes of {edge} voxels: the model sees the central {used}; give tomograms= to crop"


def _publish(made: Path, wanted: Path) -> None:
    for path in made.rglob("*.*"):
        to_disk(path)
    try:
        os.rename(made, wanted)
    except OSError:
        if not wanted.is_dir():  # else another process was faster
            raise
