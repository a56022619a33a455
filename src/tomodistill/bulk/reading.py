"""The volumes of planned particles, block by block: cut out of tomograms, or boxes as they are."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomodistill.bulk.job import Job, Task
from tomodistill.bulk.results import Reason
from tomodistill.errors import InputError
from tomodistill.inference.version import Manifest
from tomodistill.subtomograms.volumes import faults
from tomodistill.tomograms.boxes import read_boxes
from tomodistill.tomograms.cropping import crop, edge_spanning
from tomodistill.tomograms.files import open_volume
from tomodistill.tomograms.stamps import file_stamp
from tomodistill.tomograms.volume_file import VolumeFile

_BYTES = 2**26  # of a block of volumes, whatever the engine would like

# Of one volume file when it was planned.
FILE_FIELDS = [("size", "<i8"), ("changed", "<i8")]


@dataclass(frozen=True)
class Block:
    """Some particles of a shard, in its order."""

    volumes: NDArray[np.float32]  # (m, d, d, d) as stored, those that can be classified alone
    reasons: NDArray[np.uint8]  # (n,) Reason of all; m of them are classified


def read_blocks(job: Job, task: Task, size: int) -> Iterator[Block]:
    """All particles of a task, about `size` at a time; one file is open at a time.

    Raises InputError for a file that is gone, was changed since it was planned, or is truncated.
    """
    waiting: list[Block] = []
    for block in _of_files(job, task, size):
        if waiting and block.volumes.shape[1:] != waiting[0].volumes.shape[1:]:
            yield _joined(waiting)
            waiting = []
        waiting.append(block)
        if sum(len(each.reasons) for each in waiting) >= size:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _of_files(job: Job, task: Task, size: int) -> Iterator[Block]:
    """The same, each block of one file: there may be a file for each box."""
    edges = np.flatnonzero(np.diff(task.places["file"])) + 1
    for start, stop in pairwise([0, *edges.tolist(), len(task.places)]):
        of_file = task.places[start:stop]
        with _opened(job, task.files[int(of_file["file"][0])]) as file:
            for first in range(0, len(of_file), size):
                with file.reading():
                    block = _block(job, file, of_file["at"][first : first + size])
                yield block


def _joined(blocks: list[Block]) -> Block:
    if len(blocks) == 1:
        return blocks[0]
    volumes, reasons = zip(*((block.volumes, block.reasons) for block in blocks), strict=True)
    return Block(np.concatenate(volumes), np.concatenate(reasons))


def at_a_time(wanted: int, edge: int) -> int:
    """How many of the `wanted` volumes (edge, edge, edge) may be in memory together."""
    return min(wanted, max(_BYTES // (4 * edge**3), 1))


def edge_to_read(manifest: Manifest, voxel_spacing: float) -> int:
    """Voxels of `voxel_spacing` Å that span the model's box. Raises InputError for coarser ones."""
    return edge_spanning(
        manifest.box, model_spacing=manifest.voxel_spacing, tomogram_spacing=voxel_spacing
    )


def _opened(job: Job, planned: NDArray[np.void]) -> VolumeFile:
    path = Path(os.fsdecode(planned["path"].tobytes().rstrip(b"\0")))
    check = _check_store if path.is_dir() else _check_unchanged
    check(path, (int(planned["size"]), int(planned["changed"])))
    return open_volume(path, dataset=job.config.dataset_name)


def _check_unchanged(path: Path, planned: tuple[int, int]) -> None:
    try:
        stamp = file_stamp(path)
    except OSError as error:
        raise _refusal("a file that was there when the job was planned", f"none: {path}") from error
    if stamp != planned:
        raise _refusal("a file as it was when the job was planned", f"a changed one: {path}")


_check_store = cache(_check_unchanged)  # by each process once: it may be of a million files


def _block(job: Job, file: VolumeFile, at: NDArray[np.float64]) -> Block:
    """Of particles `at` (n, 3): centres in the tomogram, or positions in a stack of boxes."""
    if job.config.cropped:
        crops = crop(file.array, at, edge=job.facts.edge, options=job.config.cropping())
        volumes, outside = crops.volumes, crops.outside
    else:
        positions, mirrored = at[:, 0].astype(np.int64), job.config.handedness == "mirrored"
        volumes = read_boxes(file, positions, edge=file.array.shape[-1], mirrored=mirrored)
        outside = np.zeros(len(at))
    reasons = _reasons(volumes, outside, drop=job.config.border == "drop")
    sound = reasons <= Reason.PADDED
    return Block(volumes if sound.all() else volumes[sound], reasons)  # no copy without need


def _reasons(
    volumes: NDArray[np.float32], outside: NDArray[np.floating], *, drop: bool
) -> NDArray[np.uint8]:
    reasons = np.where(outside > 0, Reason.PADDED, Reason.CLASSIFIED)
    constant, not_finite = faults(volumes)
    reasons[constant] = Reason.CONSTANT
    reasons[not_finite] = Reason.NOT_FINITE
    if drop:
        reasons[outside > 0] = Reason.DROPPED
    return reasons.astype(np.uint8)


def _refusal(expected: str, found: str) -> InputError:
    return InputError(
        expected=expected, found=found, todo="Put it back, or plan anew with another out=FOLDER."
    )
