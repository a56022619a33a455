"""What is paid per particle outside of the workers: lists read and written, results merged.

Each in a process of its own, for the largest memory that a process ever had never falls.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import starfile
from bulk_costs_parts import anywhere, made_up, processor_seconds

from tomodistill.bulk.backends import Backend
from tomodistill.bulk.config import BulkConfig
from tomodistill.bulk.job import Job
from tomodistill.bulk.merge import merge
from tomodistill.bulk.outputs import write_lists
from tomodistill.bulk.plan import plan
from tomodistill.bulk.results import write_results
from tomodistill.bulk.run import run_shards

MILLION = 1_000_000
MORE = (  # columns that a refinement leaves
    "rlnAngleRot",
    "rlnAngleTilt",
    "rlnAnglePsi",
    "rlnDefocusU",
    "rlnDefocusV",
    "rlnDefocusAngle",
    "rlnCtfMaxResolution",
    "rlnNormCorrection",
    "rlnLogLikeliContribution",
    "rlnNrOfSignificantSamples",
    "rlnGroupNumber",
    "rlnRandomSubset",
)


def write_particles(
    path: Path, tomograms: Sequence[str], shape: tuple[int, ...], count: int, edge: int
) -> Path:
    """A RELION 3 list of particles anywhere in tomograms, in turn, in their voxels."""
    z, y, x = anywhere(shape, count, edge).T
    coordinates = {f"rlnCoordinate{axis}": of for axis, of in zip("XYZ", (x, y, z), strict=True)}
    more = dict.fromkeys(MORE, np.random.default_rng(0).random(count))
    table = pd.DataFrame({"rlnMicrographName": np.resize(tomograms, count), **coordinates, **more})
    starfile.write({"particles": table}, path)
    return path


def alone(call: Callable[..., Any], *arguments: Any) -> dict[str, float]:
    """What a call in a fresh process took: seconds of a core, and by the clock; MiB at most."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_measured, call, *arguments).result()


def _measured(call: Callable[..., Any], *arguments: Any) -> dict[str, float]:
    begun, started = time.process_time(), time.perf_counter()
    call(*arguments)
    seconds, wall = time.process_time() - begun, time.perf_counter() - started
    return {"seconds": seconds, "wall": wall, "mib": _peak_kib() / 1024}


def _peak_kib() -> int:
    """Of this process alone: `getrusage` counts what its parent had, too."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def steps(
    folder: Path, config: BulkConfig, version: Path
) -> Iterator[tuple[str, dict[str, float]]]:
    """Planning, merging and writing of a job whose shards are made up."""
    yield "planning", alone(_plan, folder, config, version)
    alone(_fill, folder)
    yield "merging", alone(_merge, folder)
    yield "writing", alone(_write, folder)


def _plan(folder: Path, config: BulkConfig, version: Path) -> None:
    plan(folder, config, version=version, model="")


def _fill(folder: Path) -> None:
    job = Job.open(folder)
    for shard in range(len(job.shards)):
        rows = job.task(shard).places["row"]
        results = replace(made_up(len(rows), len(job.manifest.class_names)), rows=np.array(rows))
        write_results(job.shard_path(shard), results, job=job.digest, shard=shard)


def _merge(folder: Path) -> None:
    merge(Job.open(folder))


def _write(folder: Path) -> None:
    write_lists(Job.open(folder))


def handing_out(folder: Path, backend: Callable[[], Backend]) -> dict[str, float]:
    """Seconds of cores for workers that start and end; and by the clock, of each shard that stands
    already, from being asked for to being told.
    """
    job, own = Job.open(folder), processor_seconds()
    with closing(backend()) as workers:
        run_shards(job, workers, [0])
    own = processor_seconds() - own
    with closing(backend()) as workers:
        run_shards(job, workers, [0])
        begun = time.perf_counter()
        run_shards(job, workers, range(len(job.shards)))
        each = (time.perf_counter() - begun) / len(job.shards)
    return {"start": own, "shard": each}
