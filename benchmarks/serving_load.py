"""What the service does with three times as much as it can, and for ten minutes at 70 %.

    PYTHONPATH=src:. python benchmarks/serving_load.py --out benchmarks/results/serving \\
        --version FOLDER

Requests of one volume. The capacity of the moment is what 32 clients in a closed loop get; then
requests come evenly at three times that rate, whether the others are answered or not. On few cores
sending alone would starve a service that is fast: a slow student of random weights shows what
refusals cost, where the clients hardly count. Goals: goodput 0.9 of the capacity, refusals within
10 ms, exactly one answer to each request, memory that does not grow.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

import numpy as np
from serving_http import Answer, open_loop, run
from serving_load_tables import LOADS, MEMORY, write_load_tables
from serving_processes import Server
from serving_protocols import OURS
from serving_servers import ours, publish, random_student, stopped_after
from serving_turns import Cell, ask, rate

from tomodistill.inference.engines import Array
from tomodistill.inference.version import read_manifest

OVERLOAD, ENDURANCE = 3.0, 0.7  # times the capacity
CLIENTS, DISTINCT = 32, 8
_SECOND = 1.0  # between two looks at the memory


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Flags."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for results")
    parser.add_argument("--version", type=Path, help="folder of a student; none: f2 of noise")
    parser.add_argument("--slow", default="s1", help="network of random weights; none: without")
    parser.add_argument("--box", type=int, default=40, help="voxels, of networks by name")
    parser.add_argument("--queue", type=int, default=256, help="volumes that may wait")
    parser.add_argument("--capacity", type=float, default=8.0, help="seconds to measure it")
    parser.add_argument("--overload", type=float, default=120.0, help="seconds; 0: none")
    parser.add_argument("--endurance", type=float, default=600.0, help="seconds; 0: none")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> None:
    """Measure, print and write."""
    given = parse(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    for name in (LOADS, MEMORY):
        (given.out / name).unlink(missing_ok=True)
    with TemporaryDirectory() as work:
        if given.slow:
            slow = random_student(Path(work), given.slow, given.box)
            measure(given, slow, Path(work, "slow"), arguments, endurance=0.0)
        fast = given.version or random_student(Path(work), "f2", given.box)
        measure(given, fast, Path(work, "fast"), arguments, endurance=given.endurance)
    print(write_load_tables(given.out))


def measure(
    given: argparse.Namespace,
    version: Path,
    work: Path,
    arguments: Sequence[str],
    *,
    endurance: float,
) -> None:
    """One student's capacity and overload, and its memory in the long run."""
    work.mkdir()
    manifest = read_manifest(version)
    requests = OURS.requests(noise(manifest.box))
    server = ours(publish(version, work), work, "--queue", f"{given.queue}")
    command = shlex.join([Path(word).name if "/" in word else word for word in arguments])
    with stopped_after([server]):
        server.start()
        capacity = capacity_of(server, requests, given.capacity)
        told = {"command": command, "student": manifest.network, "capacity": capacity}
        for times, seconds in ((OVERLOAD, given.overload), (ENDURANCE, endurance)):
            if seconds:
                with memory_of(server, given.out / MEMORY, f"{manifest.network} x {times}"):
                    came = load(server, requests, times * capacity, seconds)
                append(given.out / LOADS, {**told, "times": times, **came})


def noise(box: int) -> Array:
    """(DISTINCT, 1, box, box, box) stored volumes."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((DISTINCT, 1, box, box, box), dtype=np.float32)


def capacity_of(server: Server, requests: Sequence[bytes], seconds: float) -> float:
    """Requests a second, once it is warm."""
    cell = Cell(CLIENTS, 1)
    ask(server.port, requests, cell, seconds=seconds / 4)
    answers, _ = ask(server.port, requests, cell, seconds=seconds)
    return rate(answers)


def load(
    server: Server, requests: Sequence[bytes], per_second: float, seconds: float
) -> dict[str, object]:
    """What became of requests at that rate."""
    used = time.process_time()
    answers = run(open_loop(server.port, requests, rate=per_second, seconds=seconds))
    used = time.process_time() - used
    return {
        "offered": per_second,
        "seconds": seconds,
        "requests": round(per_second * seconds),
        "load": used / seconds,
        **summary(answers, seconds),
    }


def summary(answers: Sequence[Answer], seconds: float) -> dict[str, object]:
    """Counts by status, goodput, and milliseconds: of good answers, refusals and being late."""
    first = min(answer.started for answer in answers)
    good = [answer for answer in answers if answer.status == 200]
    in_time = [answer for answer in good if answer.finished < first + seconds]
    status = [answer.status for answer in answers]
    return {
        "answers": {f"{code}": status.count(code) for code in sorted(set(status))},
        "goodput": len(in_time) / seconds,
        "good": milliseconds([answer.seconds for answer in good]),
        "refused": milliseconds([answer.seconds for answer in answers if answer.status == 429]),
        "late": milliseconds([answer.started - answer.due for answer in answers]),
    }


def milliseconds(seconds: Sequence[float]) -> dict[str, float] | None:
    """Median, 99 in a hundred, and the longest; None of none."""
    if not seconds:
        return None
    p50, p99, longest = 1e3 * np.percentile(seconds, (50, 99, 100))
    return {"p50": p50, "p99": p99, "max": longest}


@contextmanager
def memory_of(server: Server, path: Path, what: str) -> Iterator[None]:
    """Looked at each second while the block lasts; written to a file of JSON lines."""
    over, start = Event(), time.monotonic()

    def look() -> None:
        while not over.wait(_SECOND):
            at = time.monotonic() - start
            append(path, {"what": what, "seconds": at, "mib": server.facts().mib})

    thread = Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def append(path: Path, measured: object) -> None:
    """As a line of JSON."""
    with path.open("a") as file:
        file.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
