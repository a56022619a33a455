"""Workers and clients that are killed, files that are damaged: is every result there, and right?"""

import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

import numpy as np
import psutil
from bulk_speed import result
from bulk_stage import Stage, check, looks, workers
from numpy.typing import NDArray

from tomodistill.bulk.job import Job
from tomodistill.bulk.results import Reason
from tomodistill.evaluation.table import Column, Table

_PATIENCE = 120.0  # seconds for a shard


@dataclass(frozen=True)
class Played:
    """One kind of fault, some times in one job."""

    fault: str
    times: int
    particles: int
    seconds: float
    missing: int  # particles without a result
    changed: int  # particles whose result is not, bit by bit, that of a job without faults
    largest_change: float  # of a probability
    left: int  # processes that outlived the job
    list_same: bool  # the classified list, byte by byte


class Faults:
    """Played on jobs of `particles`; each is held against one that nothing disturbed."""

    def __init__(self, stage: Stage, *, particles: int, times: int) -> None:
        self._stage, self._particles, self._times = stage, particles, times
        self._random = random.Random(8)
        self._seen: dict[int, psutil.Process] = {}

    def played(self) -> Iterator[Played]:
        """All of them."""
        undisturbed = self._stage.folder / "undisturbed"
        check(self._predict(undisturbed))
        for fault in (self.workers_killed, self.client_killed, self.damaged):
            out, start = self._stage.folder / fault.__name__, time.monotonic()
            times = fault(out)
            seconds = time.monotonic() - start
            yield self.held(
                fault.__name__.replace("_", " "), times, out, undisturbed, seconds=seconds
            )

    def workers_killed(self, out: Path) -> int:
        """Some worker or other, while it computes, in one run; how often."""
        killed, at = 0, 0.0
        for client in looks(self._predict(out)):
            self._see(client)
            alive = workers(client)
            if killed < self._times and _standing(out) and alive and time.monotonic() > at:
                self._random.choice(alive).kill()
                killed += 1
                at = time.monotonic() + self._random.uniform(0.5, 3.0)
        return killed

    def client_killed(self, out: Path) -> int:
        """Each time after another shard was written; the last one is left alone. How often."""
        for number in range(self._times):
            process = self._predict(out)
            client, before = psutil.Process(process.pid), _standing(out)
            end = time.monotonic() + _PATIENCE
            while process.poll() is None and _standing(out) == before and time.monotonic() < end:
                self._see(client)
                time.sleep(0.02)
            time.sleep(self._random.uniform(0, 0.5))
            if process.poll() is not None:
                check(process)
                return number
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
        check(self._predict(out))
        return self._times

    def damaged(self, out: Path) -> int:
        """Of a finished job one shard gets other bytes, another loses its end."""
        check(self._predict(out))
        job = Job.open(out)
        first, second = (job.shard_path(shard) for shard in (0, len(job.shards) // 2))
        content = bytearray(first.read_bytes())
        content[len(content) // 2] ^= 0xFF
        first.write_bytes(content)
        os.truncate(second, second.stat().st_size // 2)
        check(self._predict(out))
        return 2

    def _predict(self, out: Path) -> "Popen[bytes]":
        return self._stage.predict(self._particles, out=out, workers=2)

    def _see(self, client: psutil.Process) -> None:
        self._seen |= {worker.pid: worker for worker in workers(client)}

    def held(self, fault: str, times: int, out: Path, against: Path, *, seconds: float) -> Played:
        found, right = result(out), result(against)
        time.sleep(1)  # for the last to end
        left = sum(process.is_running() for process in self._seen.values())
        lists = [next((of / "classified").rglob("*.star")).read_bytes() for of in (out, against)]
        return Played(
            fault,
            times,
            self._particles,
            seconds,
            missing=self._particles - int((found["reason"] <= Reason.PADDED).sum()),
            changed=int((_bits(found) != _bits(right)).sum()),
            largest_change=_largest(found, right),
            left=left,
            list_same=lists[0] == lists[1],
        )


def _standing(out: Path) -> int:
    return sum(1 for _ in (out / "shards").glob("*/*.shard"))


def _bits(rows: NDArray[np.void]) -> NDArray[np.void]:
    return np.ascontiguousarray(rows).view(f"V{rows.dtype.itemsize}")


def _largest(found: NDArray[np.void], right: NDArray[np.void]) -> float:
    return float(np.abs(found["probabilities"] - right["probabilities"]).max())


def faults_table(played: list[Played]) -> Table:
    """One row for each kind."""
    columns = (
        Column("fault"),
        Column("times"),
        Column("particles", ","),
        Column("seconds", ".0f"),
        Column("missing", ","),
        Column("changed", ","),
        Column("largest change", ".2g"),
        Column("processes left"),
        Column("list byte by byte"),
    )
    return Table(columns, [[*list(vars(of).values())[:-1], _word(of)] for of in played])


def _word(of: Played) -> str:
    return "the same" if of.list_same else "another"


def sound(of: Played) -> bool:
    """Whether nothing is missing, changed or left."""
    return not (of.missing or of.changed or of.left) and of.list_same
