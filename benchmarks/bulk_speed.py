"""How fast bulk classification is beside its engine: all ways take turns, in rounds."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from bulk_stage import Peaks, Stage, looks, on_cores
from inference_turns import quartiles
from numpy.typing import NDArray

from tomodistill.bulk.backends import Backend
from tomodistill.bulk.cluster import ClusterConfig, open_backend
from tomodistill.bulk.config import BulkConfig
from tomodistill.bulk.job import Job
from tomodistill.bulk.plan import plan
from tomodistill.bulk.reading import read_blocks
from tomodistill.bulk.run import run_shards
from tomodistill.bulk.shard import compute_shard
from tomodistill.evaluation.table import Column, Interval, Table
from tomodistill.inference.classifier import Classifier

TURN = 6.0  # seconds of the bare classifier, whose particles every turn has
_VOLUMES = 1024  # in memory, for engine and classifier
ENGINE, CLASSIFIER, HERE = "bare engine", "bare classifier", "this process"
ALONE, ONE, TWO = "1 worker, 1 core", "1 worker", "2 workers"


@dataclass(frozen=True)
class Turn:
    """One way, once."""

    round: int
    way: str
    particles: int
    seconds: float
    cpu: float  # seconds of all processes, which others on the machine change less


def turns(stage: Stage, *, particles: int, rounds: int, turn: float = TURN) -> Iterator[Turn]:
    """All ways in each of the `rounds`, every second one backwards."""
    config = BulkConfig(**{**stage.flags(particles), "shard": 2048})
    job = plan(stage.folder / "speed", config, version=stage.version, model="a student")
    classifier = Classifier.load(stage.version, engine="openvino")
    volumes = next(read_blocks(job, job.task(0), _VOLUMES)).volumes
    rate = _rate(classifier, volumes)
    shards = range(min(max(2 * round(rate * turn / 2 / config.shard), 2), len(job.shards)))
    with ExitStack() as opened:
        ways = _bare(classifier, volumes, sum(map(job.size, shards))) | {
            way: _classifying(job, opened.enter_context(closing(backend)), shards)
            for way, backend in _backends(job)
        }
        for way in ways.values():
            way()  # loads the model
        for number in range(rounds):
            for name in list(ways)[:: 1 if number % 2 == 0 else -1]:
                start, cpu = time.perf_counter(), _cpu()
                count = ways[name]()
                yield Turn(number, name, count, time.perf_counter() - start, _cpu() - cpu)


def _cpu() -> float:
    """Seconds of this process and of its workers."""
    family = [here := psutil.Process(), *here.children(recursive=True)]
    return sum(sum(process.cpu_times()[:2]) for process in family)


def _rate(classifier: Classifier, volumes: NDArray[np.float32]) -> float:
    classifier.logits(volumes)
    start = time.perf_counter()
    classifier.logits(volumes)
    return len(volumes) / (time.perf_counter() - start)


def _backends(job: Job) -> Iterator[tuple[str, Backend]]:
    yield HERE, open_backend(job.folder, compute_shard, ClusterConfig(cluster="none"))
    first = min(os.sched_getaffinity(0))
    with on_cores({first}):
        yield ALONE, open_backend(job.folder, compute_shard, ClusterConfig(workers="1"))
    yield ONE, open_backend(job.folder, compute_shard, ClusterConfig(workers="1"))
    yield TWO, open_backend(job.folder, compute_shard, ClusterConfig(workers="2"))


def _bare(
    classifier: Classifier, volumes: NDArray[np.float32], count: int
) -> dict[str, Callable[[], int]]:
    """Engine and classifier on volumes in memory, again and again."""
    prepared = classifier.prepare(volumes).volumes

    def again(call: Callable[[NDArray[np.float32]], object], of: NDArray[np.float32]) -> int:
        times = -(-count // len(of))
        for _ in range(times):
            call(of)
        return times * len(of)

    return {
        ENGINE: lambda: again(classifier.engine.logits, prepared),
        CLASSIFIER: lambda: again(classifier.logits, volumes),
    }


def _classifying(job: Job, backend: Backend, shards: Sequence[int]) -> Callable[[], int]:
    """These shards anew, from the tomogram to their files."""

    def classify() -> int:
        for shard in shards:
            job.shard_path(shard).unlink(missing_ok=True)
        if aside := run_shards(job, backend, shards):
            raise RuntimeError(f"{aside}")
        return sum(map(job.size, shards))

    return classify


def speed_table(taken: Sequence[Turn]) -> Table:
    """One row for each way."""
    columns = (
        Column("way"),
        Column("particles/s", ",.0f"),
        Column("particles/s of CPU", ",.0f"),
        Column(f"of the {ENGINE}", ".2f"),
        Column(f"of the {CLASSIFIER}", ".2f"),
        Column(f"of {ONE}", ".2f"),
        Column(f"of {ALONE}", ".2f"),
    )
    ways = dict.fromkeys(turn.way for turn in taken)
    rates = {way: {t.round: t.particles / t.seconds for t in taken if t.way == way} for way in ways}
    bases = (ENGINE, CLASSIFIER, ONE, ALONE)
    of_cpu = {way: [t.particles / t.cpu for t in taken if t.way == way] for way in ways}
    rows = [
        [
            way,
            quartiles(list(of.values())),
            quartiles(of_cpu[way]),
            *(_ratio(of, rates[base]) for base in bases),
        ]
        for way, of in rates.items()
    ]
    return Table(columns, rows)


def _ratio(of: dict[int, float], base: dict[int, float]) -> Interval:
    """Within a round: the speed of a shared machine swings."""
    return quartiles([of[number] / base[number] for number in of if number in base])


@dataclass(frozen=True)
class Whole:
    """All of `predict` in a process of its own, from its start to the classified list."""

    particles: int
    seconds: float
    client: float  # MiB at its peak
    worker: float  # likewise, the largest


def whole(stage: Stage, count: int) -> Whole:
    """Of so many particles, by two workers."""
    out, start = stage.folder / f"whole {count}", time.perf_counter()
    peaks = Peaks()
    for client in looks(stage.predict(count, out=out, workers=2)):
        peaks.look(client)
    seconds = time.perf_counter() - start
    return Whole(count, seconds, peaks.client, peaks.worker)


def memory_table(measured: Sequence[Whole]) -> Table:
    """One row for each size of a job."""
    columns = (
        Column("particles", ","),
        Column("seconds", ".0f"),
        Column("client (MiB)", ".0f"),
        Column("a worker (MiB)", ".0f"),
    )
    return Table(columns, [list(vars(of).values()) for of in measured])


def result(out: Path) -> NDArray[np.void]:
    """Of a finished job."""
    loaded: NDArray[np.void] = np.load(out / "results" / "00000.npy")
    return loaded
