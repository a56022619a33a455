"""What runs in the worker processes of a cluster."""

import hashlib
import os
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

import distributed
from distributed import Worker, WorkerPlugin
from threadpoolctl import threadpool_limits

import tomodistill
from tomodistill.bulk.backends import Compute, Outcome, attempt
from tomodistill.machine import cores

# Of a worker's environment when it starts. Blocks of volumes come and go: memory that is kept for
# the next one saves a tenth of the time.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": f"{2**25}",  # bytes; glibc takes no more
    "MALLOC_TRIM_THRESHOLD_": f"{2**32}",
}
_one_at_a_time = Lock()  # a shard uses all cores of its process, and memory for one


class OtherProgram(Exception):
    """This worker runs another program than the client; says which."""


def compute_here(compute: Compute, job: Path, shard: int, wanted: str) -> Outcome:
    """The outcome of one shard, computed with all cores that this worker has.

    Raises OtherProgram unless it runs the `wanted` one: it may have come while the job ran.
    """
    check_program(wanted)
    with _one_at_a_time, threadpool_limits(cores()):  # Dask sets one thread
        return attempt(compute, job, shard)


def check_program(wanted: str) -> None:
    """Raises OtherProgram unless that is what this process runs."""
    if (here := program()) != wanted:
        raise OtherProgram(here)


@cache
def program() -> str:
    """What this process runs: all that must be the same in client and workers."""
    content = hashlib.sha256()
    for path in sorted(Path(tomodistill.__file__).parent.rglob("*.py")):
        content.update(path.read_bytes())
    version = f"tomodistill {tomodistill.__version__} of sources {content.hexdigest()[:12]}"
    return f"{version}, distributed {distributed.__version__}"


@dataclass
class Share(WorkerPlugin):
    """A worker's part of its machine: cores, and a GPU if there are some, of its own.

    It is one of `processes` that started together and have numbers at the end of their names.
    """

    processes: int
    name = "tomodistill"

    def setup(self, worker: Worker) -> None:
        """Called once in each worker process, before any shard."""
        if self.processes > 1:
            self._take(int(str(worker.name).rpartition("-")[2]))

    def _take(self, number: int) -> None:
        usable = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, usable[number :: self.processes] or usable)
        if devices := gpus():
            os.environ["CUDA_VISIBLE_DEVICES"] = devices[number % len(devices)]


def gpus() -> list[str]:
    """Names of NVIDIA's devices that this process may use, as CUDA_VISIBLE_DEVICES has them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name not in ("", "-1")]
    if find_spec("pynvml") is None:
        return []
    import pynvml

    try:
        pynvml.nvmlInit()
        return [str(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []
