"""What workers compute in tests; they import it by name."""

import os
import signal
import time
from pathlib import Path

from tomodistill.bulk.backends import Outcome

FAILS, DIES, DOZES = 100, 101, 200  # shards; what is more, too, dozes


def compute(job: Path, shard: int) -> Outcome:
    """Leaves a file that says who began, and with what; then as its number says."""
    device = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    mark = f"{os.getpid()} {min(os.sched_getaffinity(0))}:{device}"
    (job / f"{shard}.part").write_text(mark)
    (job / f"{shard}.part").rename(job / f"{shard}")
    if shard == FAILS:
        raise ValueError("no such thing")
    if shard == DIES:  # as one that needs too much memory
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(600 if shard >= DOZES else 0)
    return Outcome(shard)


def doze(arguments: list[str]) -> None:
    """A client: all its workers are busy until it ends."""
    from tomodistill.bulk.cluster import ClusterConfig, open_backend

    backend = open_backend(Path(arguments[0]), compute, ClusterConfig(workers="2"))
    try:
        for number in range(backend.room()):
            backend.submit(DOZES + number)
        backend.next()
    finally:
        backend.close()


if __name__ == "__main__":
    import sys

    doze(sys.argv[1:])
