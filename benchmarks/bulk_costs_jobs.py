"""Whole jobs, measured: what the model of costs says of them is held against the clock."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tomodistill.bulk.cluster import ClusterConfig, open_backend
from tomodistill.bulk.complete import complete
from tomodistill.bulk.config import BulkConfig
from tomodistill.bulk.plan import plan
from tomodistill.bulk.progress import Progress
from tomodistill.bulk.shard import compute_shard


@contextmanager
def cores_of_client(count: int) -> Iterator[None]:
    """This process, and the workers that it starts, on so many cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def run_job(folder: Path, config: BulkConfig, version: Path, *, workers: int) -> dict[str, Any]:
    """Wall seconds of a job on so many workers, each with a core; and the share of the machine
    that others had meanwhile.
    """
    with cores_of_client(workers):
        job = plan(folder, config, version=version, model="")
        cluster = ClusterConfig(workers=f"{workers}")
        own, machine, begun = _processor_seconds(), _machine_seconds(), time.perf_counter()
        done = complete(
            job,
            lambda: open_backend(job.folder, compute_shard, cluster),
            Progress(job.particles, 0),
        )
        wall = time.perf_counter() - begun
    own, machine = _processor_seconds() - own, _machine_seconds() - machine
    return {
        "particles": job.particles,
        "workers": workers,
        "wall": wall,
        "processor": own,
        "of_others": max(machine - own, 0.0) / wall,
        "by_step": done.by_step,
    }


def _processor_seconds() -> float:
    """Of this process and of those that it started and that ended."""
    of = os.times()
    return of.user + of.system + of.children_user + of.children_system


def _machine_seconds() -> float:
    """Of all processes, on all cores."""
    user, nice, system = map(int, Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")
