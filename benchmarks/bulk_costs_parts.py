"""What each step of a bulk job takes, step by step, on one core.

Processor time, which a busy machine does not change much; wall time where a step waits for a disk.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomodistill.bulk.results import Results, read_results, write_results
from tomodistill.inference.classifier import Classifier
from tomodistill.tomograms.cropping import Cropping, crop
from tomodistill.tomograms.files import open_volume

SHAPE = (300, 720, 1000)  # voxels of the tomogram that is measured
ROUNDS, OF_ROUND = 7, 256
_STARTED = """
import sys
from pathlib import Path
from tomodistill.bulk.shard import compute_shard
from tomodistill.inference.classifier import Classifier
Classifier.load(Path(sys.argv[1]))
"""


@contextmanager
def one_core() -> Iterator[None]:
    """This process, and what it starts, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def of_each(call: Callable[[], object], count: int, rounds: int = ROUNDS) -> float:
    """Processor seconds for one of `count` that a call does: the median round but the first."""
    taken = []
    for _ in range(rounds + 1):
        begun = time.process_time()
        call()
        taken.append((time.process_time() - begun) / count)
    return statistics.median(taken[1:])


def waited(call: Callable[[], object], count: int, rounds: int = ROUNDS) -> float:
    """The same in wall seconds, the first round counted."""
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        call()
        taken.append((time.perf_counter() - begun) / count)
    return statistics.median(taken)


def forget(path: Path) -> None:
    """Drop a file from the page cache, so that the next to read it waits for the disk."""
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(handle)


def bytes_read() -> int:
    """Bytes that this process made the disk deliver so far."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["read_bytes"])


def write_noise(path: Path, shape: tuple[int, ...], dtype: str) -> Path:
    """A .npy file of noise, slice by slice; the same file if it exists."""
    if not path.is_file():
        array = np.lib.format.open_memmap(path, "w+", np.dtype(dtype), shape)
        noise = np.random.default_rng(0).standard_normal(shape[1:], dtype=np.float32)
        for z in range(shape[0]):
            array[z] = np.roll(30 * noise, z)
        array.flush()
    return path


def anywhere(shape: tuple[int, ...], count: int, edge: int, seed: int = 0) -> NDArray[np.float64]:
    """(count, 3) centres of boxes inside of a tomogram, in the order of its slices."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(edge / 2, np.array(shape) - edge / 2 - 1, (count, 3))
    return centres[np.lexsort(centres.T[::-1])]


def cropping_seconds(path: Path, edge: int, *, subvoxel: bool) -> float:
    """Of one box, out of the page cache."""
    with open_volume(path) as file:
        centres = anywhere(file.array.shape, OF_ROUND, edge)
        options = Cropping(subvoxel=subvoxel)
        return of_each(lambda: crop(file.array, centres, edge=edge, options=options), OF_ROUND)


def box_seconds(stack: Path) -> float:
    """Of one box of a stack, out of the page cache."""
    with open_volume(stack) as file:
        rows = range(min(OF_ROUND, file.array.shape[0]))

        def read() -> NDArray[np.float32]:
            return np.stack([np.asarray(file.array[row], np.float32) for row in rows])

        return of_each(read, len(rows))


def cold_boxes(stack: Path) -> dict[str, float]:
    """Of one box of a stack that no cache holds, read one after the other: wall seconds, bytes."""
    forget(stack)
    before = bytes_read()
    with open_volume(stack) as file:
        count = file.array.shape[0]
        seconds = waited(lambda: [np.array(file.array[i]) for i in range(count)], count, rounds=1)
    return {"seconds": seconds, "bytes": (bytes_read() - before) / count}


def cold_crops(tomogram: Path, edge: int, particles: int) -> dict[str, float]:
    """Of one of so many crops out of a tomogram that no cache holds: wall seconds, bytes."""
    forget(tomogram)
    before = bytes_read()
    with open_volume(tomogram) as file:
        centres = anywhere(file.array.shape, particles, edge, seed=particles)

        def read() -> None:
            for one in centres[:, None]:
                crop(file.array, one, edge=edge, options=Cropping())

        seconds = waited(read, particles, rounds=1)
    return {"seconds": seconds, "bytes": (bytes_read() - before) / particles}


def network_seconds(model: Classifier, edge: int) -> dict[str, float]:
    """Of one volume of that edge: preparing, the network, calibrated decisions."""
    rng = np.random.default_rng(0)
    volumes = rng.standard_normal((OF_ROUND // 2, edge, edge, edge), dtype=np.float32)
    spacing = model.manifest.voxel_spacing * model.manifest.box / edge
    prepared = model.prepare(volumes, voxel_spacing=spacing).volumes
    logits = model.engine.logits(prepared)
    steps: dict[str, Callable[[], object]] = {
        "prepare": lambda: model.prepare(volumes, voxel_spacing=spacing),
        "engine": lambda: model.engine.logits(prepared),
        "decide": lambda: model.decisions(logits),
    }
    return {name: of_each(step, len(volumes)) for name, step in steps.items()}


def start_seconds(version: Path) -> float:
    """Of cores: for a fresh process until its model is loaded, tested and warm."""
    command, taken = [sys.executable, "-c", _STARTED, str(version)], []
    for _ in range(3):
        before = processor_seconds()
        subprocess.run(command, check=True)
        taken.append(processor_seconds() - before)
    return statistics.median(taken)


def processor_seconds() -> float:
    """Of this process and of those that it started and that ended."""
    of = os.times()
    return of.user + of.system + of.children_user + of.children_system


def shard_seconds(folder: Path, *, particles: int, classes: int) -> dict[str, float]:
    """Of a shard: results written and synced, read and verified (wall); bytes of a particle."""
    results = made_up(particles, classes)
    paths = iter([folder / f"{n}.shard" for n in range(ROUNDS)])
    write = waited(lambda: write_results(next(paths), results, job="job", shard=0), 1)
    path = folder / "0.shard"
    read = waited(lambda: read_results(path, job="job", shard=0), 1)
    return {"write": write, "read": read, "bytes": path.stat().st_size / particles}


def made_up(particles: int, classes: int) -> Results:
    """Results of that many."""
    rng = np.random.default_rng(0)
    return Results(
        rows=np.arange(particles),
        classes=rng.integers(classes, size=particles).astype(np.int16),
        probabilities=rng.random((particles, classes), dtype=np.float32),
        scores=rng.random(particles),
        reasons=np.zeros(particles, np.uint8),
        made_by="openvino in bfloat16 on CPU",
    )
