"""Whole jobs, measured: what the model of costs says of them is held against the clock."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bulk_costs_lists import write_particles
from bulk_costs_parts import SHAPE, forget, processor_seconds, write_noise

from tomodistill.bulk.cluster import ClusterConfig, open_backend
from tomodistill.bulk.complete import complete
from tomodistill.bulk.config import BulkConfig
from tomodistill.bulk.plan import plan
from tomodistill.bulk.progress import Progress
from tomodistill.bulk.shard import compute_shard
from tomodistill.inference.version import read_manifest

ROUNDS = 3
BOXES = 2048  # of a stack
COLD, COLD_TOMOGRAMS, OF_EACH = "tomograms on disk", 6, 300


def stack(scratch: Path, dtype: str) -> Path:
    """Boxes as one file."""
    return write_noise(scratch / f"boxes_{dtype}.npy", (BOXES, 40, 40, 40), dtype)


def cropped(scratch: Path, count: int, version: Path) -> BulkConfig:
    """Of one tomogram of float32."""
    tomogram = write_noise(scratch / "float32.npy", SHAPE, "float32")
    listed = write_particles(scratch / f"{count}.star", [tomogram.name], SHAPE, count, 40)
    return BulkConfig(
        particles=f"{listed}", tomograms=f"{tomogram}", contrast="dark", **spacing(version)
    )


def boxed(scratch: Path, count: int, version: Path) -> BulkConfig:
    """Of stacks of float32: the same one under several names."""
    made, folder = stack(scratch, "float32"), scratch / f"stacks_{count}"
    folder.mkdir(exist_ok=True)
    for number in range(count // BOXES):
        link = folder / f"{number}.npy"
        link.hardlink_to(made) if not link.exists() else None
    return BulkConfig(particles=f"{folder}/*.npy", contrast="dark", **spacing(version))


def uncached(scratch: Path, version: Path) -> tuple[BulkConfig, list[Path]]:
    """Of tomograms with few particles each; and their files."""
    folder = scratch / "cold"
    folder.mkdir()
    files = [write_noise(folder / f"t{n}.npy", SHAPE, "float32") for n in range(COLD_TOMOGRAMS)]
    names = [path.name for path in files]
    listed = write_particles(scratch / "cold.star", names, SHAPE, OF_EACH * len(files), 40)
    where = {"particles": f"{listed}", "tomograms": f"{folder}"}
    return BulkConfig(**where, contrast="dark", **spacing(version)), files


def spacing(version: Path) -> dict[str, Any]:
    """The model's own, as a flag: files of NumPy state none."""
    return {"voxel_spacing": read_manifest(version).voxel_spacing}


@contextmanager
def cores_of_client(count: int) -> Iterator[None]:
    """This process, and the workers that it starts, on so many cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def run_rounds(
    folder: Path, config: BulkConfig, version: Path, *, workers: int, cold: Sequence[Path] = ()
) -> list[dict[str, Any]]:
    """The same job some times, for others may use the machine too; `cold`: read from the disk."""
    rounds = []
    for number in range(ROUNDS):
        for path in cold:
            forget(path)
        rounds.append(run_job(folder / f"{number}", config, version, workers=workers))
    return rounds


def run_job(folder: Path, config: BulkConfig, version: Path, *, workers: int) -> dict[str, Any]:
    """Wall seconds of a job on so many workers, each with a core, and what others used then."""
    with cores_of_client(workers):
        job = plan(folder, config, version=version, model="")
        cluster = ClusterConfig(workers=f"{workers}")
        own, machine, begun = processor_seconds(), _machine_seconds(), time.perf_counter()
        done = complete(
            job,
            lambda: open_backend(job.folder, compute_shard, cluster),
            Progress(job.particles, 0),
        )
        wall = time.perf_counter() - begun
    if done.aside:
        raise RuntimeError(f"shards were set aside: {done.aside}")
    own, machine = processor_seconds() - own, _machine_seconds() - machine
    return {
        "particles": job.particles,
        "workers": workers,
        "wall": wall,
        "processor": own,
        "of_others": max(machine - own, 0.0) / wall,
        "by_step": done.by_step,
    }


def _machine_seconds() -> float:
    """Of all processes, on all cores."""
    user, nice, system = map(int, Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")
