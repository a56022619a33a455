"""All shards, verified, in the order of their lists: each particle once, or it is said why not."""

import os
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomodistill.bulk.job import RESULTS, Job
from tomodistill.bulk.results import NOT_CLASSIFIED, PARTIAL, Reason, Results, read_results
from tomodistill.errors import InputError
from tomodistill.subtomograms.files import remove_abandoned, reserve, to_disk


@dataclass(frozen=True)
class Merged:
    """What a merge found."""

    damaged: tuple[int, ...]  # shards that were not as they were written, and were removed
    made_by: tuple[str, ...]  # engines


def merge(job: Job, aside: Iterable[int] = ()) -> Merged:
    """Write the results of each list; see `list_results`.

    A damaged shard is removed, and nothing is written of its list: compute it again. Those that
    were set `aside` are told as such. Raises InputError if a particle is missing or there twice.
    """
    results = job.folder / RESULTS
    results.mkdir(exist_ok=True)
    remove_abandoned(results, f"*{PARTIAL}")
    by_list: dict[int, list[int]] = {at: [] for at in range(len(job.lists))}
    for shard, (at, _, _) in enumerate(job.shards.tolist()):
        by_list[at].append(shard)
    damaged, made_by, skipped = list[int](), set[str](), set(aside)
    for at, shards in by_list.items():
        wrong, engines = _merge_list(job, at, shards, skipped)
        damaged += wrong
        made_by |= engines
    return Merged(tuple(damaged), tuple(sorted(made_by)))


def list_results(job: Job, at: int) -> NDArray[np.void]:
    """(n,) of the list at position `at`, in its order: class, reason, score, probabilities.

    On disk, page by page as they are looked at.
    """
    loaded: NDArray[np.void] = np.load(_path(job, at), mmap_mode="r")
    return loaded


def result_type(classes: int) -> np.dtype[np.void]:
    """Of what is known of one particle."""
    fields = [("class", "<i2"), ("reason", "u1"), ("score", "<f8")]
    return np.dtype([*fields, ("probabilities", "<f4", classes)])


def _path(job: Job, at: int) -> Path:
    return job.folder / RESULTS / f"{at:05d}.npy"


def _merge_list(
    job: Job, at: int, shards: list[int], skipped: set[int]
) -> tuple[list[int], set[str]]:
    """Damaged shards of one list, and the engines of the others."""
    path = _path(job, at)
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PARTIAL}")
    damaged, made_by = list[int](), set[str]()
    try:
        rows = _empty(partial, job.lists[at].count, len(job.manifest.class_names))
        for shard in shards:
            if shard in skipped:
                rows["reason"][job.task(shard).places["row"]] = Reason.SET_ASIDE
                continue
            if (results := _sound(job, shard)) is None:
                damaged.append(shard)
                continue
            _fill(rows, results, shard)
            made_by.add(results.made_by)
        if not damaged:
            _check_whole(rows, job, at)
            rows.flush()
            to_disk(partial)
            os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return damaged, made_by


def _empty(path: Path, count: int, classes: int) -> "np.memmap[tuple[int], np.dtype[np.void]]":
    rows = np.lib.format.open_memmap(path, mode="w+", dtype=result_type(classes), shape=(count,))
    reserve(path, path.stat().st_size)  # a disk that is full later would end the whole process
    rows["reason"], rows["class"] = Reason.MISSING, NOT_CLASSIFIED
    rows["score"] = rows["probabilities"] = np.nan
    return rows


def _sound(job: Job, shard: int) -> Results | None:
    """The results of a shard; None, and no file any more, if they are damaged or missing."""
    path = job.shard_path(shard)
    try:
        return read_results(path, job=job.digest, shard=shard)
    except (InputError, FileNotFoundError):
        path.unlink(missing_ok=True)
        return None


def _fill(rows: NDArray[np.void], results: Results, shard: int) -> None:
    twice = rows["reason"][results.rows] != Reason.MISSING
    if twice.any():
        raise _broken(f"row {results.rows[twice][0]} of shard {shard} a second time")
    rows["class"][results.rows] = results.classes
    rows["reason"][results.rows] = results.reasons
    rows["score"][results.rows] = results.scores
    rows["probabilities"][results.rows] = results.probabilities


def _check_whole(rows: NDArray[np.void], job: Job, at: int) -> None:
    missing = np.flatnonzero(rows["reason"] == Reason.MISSING)
    if len(missing):
        raise _broken(f"none of row {missing[0]} and {len(missing) - 1} more of {job.lists[at]}")


def _broken(found: str) -> InputError:
    return InputError(
        expected="one result of each particle",
        found=found,
        todo="Plan anew with another out=FOLDER: the plan of this job is damaged.",
    )
