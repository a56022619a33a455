"""Swaps of the model under load: is any answer lost or wrong, and how long do clients wait?

    PYTHONPATH=src:. python benchmarks/serving_swaps.py --requests 100000 --swaps 50

A registry (MLflow, SQLite) and the service run as processes on loopback. Every promotion names a
version that the service has never seen, which it downloads, verifies, tests and warms up while
clients ask without a pause. Each answer's numbers are held against those of the version that it
names. A swap lasts from the promotion until the first answer of the new version, and one second
more; all other time is steady.
"""

import argparse
import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from numpy.typing import NDArray
from serving_clients import LOST, REFUSED, RIGHT, WRONG, Load, asking
from serving_processes import client_of, command, registry_server, service_server, wait_until
from serving_versions import questions, registered, sound

from tests.versions import BOX
from tomodistill.evaluation.table import Column, Table
from tomodistill.machine import cores
from tomodistill.tracking.registry import set_production

MODELS, VOLUMES = 4, 6  # with different weights, that take turns; different questions
AFTER = 1.0  # seconds after a swap that belong to it


@dataclass(frozen=True)
class Swap:
    """In seconds of time.monotonic."""

    promoted: float
    served: float  # when the first answer of the new version had come


@dataclass(frozen=True)
class Result:
    """Of a run; latencies in milliseconds."""

    requests: int
    swaps: int
    lost: int
    wrong: int
    refused: int  # answers that are no success
    seconds_to_serve: float  # median, from the promotion on
    requests_per_second: float
    p50_steady: float
    p99_steady: float
    p50_swap: float
    p99_swap: float
    requests_in_swaps: int

    @property
    def ratio(self) -> float:
        """How much longer the slowest percent waits during a swap."""
        return self.p99_swap / self.p99_steady

    @property
    def passed(self) -> bool:
        """Whether the goals are met."""
        return not (self.lost or self.wrong or self.refused) and self.ratio <= 2


def parse() -> argparse.Namespace:
    """Flags."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/serving"))
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--swaps", type=int, default=50)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=10.0, help="after which it is given up")
    return parser.parse_args()


def main() -> None:
    """Run, print and write."""
    given = parse()
    given.out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as work:
        records, swaps = run(given, Path(work))
    result = summary(records, swaps)
    about = {
        "command": command(),
        "cores": cores(),
        "clients": given.clients,
        "student": f"s3 of random weights, boxes of {BOX} voxels",
    }
    whole = {**about, **asdict(result), "ratio": result.ratio, "passed": result.passed}
    (given.out / "swaps.json").write_text(json.dumps(whole, indent=2) + "\n")
    (given.out / "swaps.md").write_text(table(result).markdown() + "\n")
    print(table(result).markdown())


def run(given: argparse.Namespace, work: Path) -> tuple[NDArray[np.void], list[Swap]]:
    """What became of each request, and when which swap was."""
    folders = sound(work / "made", MODELS)
    registry = registry_server(work / "registry")
    service = service_server(work / "service", registry.url, "--cache", f"{work}/cache")
    with client_of(registry):
        made = [folders[number % MODELS] for number in range(given.swaps + 1)]
        versions = {registered(folder).number: folder for folder in made}
        first, *others = versions
        set_production(f"{first}", {})
        try:
            service.start()
            asked = questions(versions, VOLUMES)
            with asking(service.port, asked, clients=given.clients, folder=work) as load:
                swaps = swap_all(load, others, given)
                return load.records(), swaps
        finally:
            service.end(signal.SIGTERM)


def swap_all(load: Load, versions: list[int], given: argparse.Namespace) -> list[Swap]:
    """One version after the other, evenly over all requests."""
    deadline = time.monotonic() + 60 * given.minutes
    due = (np.arange(len(versions)) + 0.5) * given.requests / len(versions)
    swaps = []
    for version, count in zip(versions, due, strict=True):
        _until(load, count, deadline)
        swaps.append(swap(load, version))
    _until(load, given.requests, deadline)
    return swaps


def swap(load: Load, version: int) -> Swap:
    """Promote it, and wait for its first answer."""
    promoted, seen = time.monotonic(), len(load)
    set_production(f"{version}", {})

    def answers() -> NDArray[np.void]:
        records = load.records(seen)
        return records[records["version"] == version]

    wait_until(lambda: len(answers()) > 0, f"version {version} to answer")
    return Swap(promoted, float(answers()["ended"][0]))


def _until(load: Load, count: float, deadline: float) -> None:
    """So many requests have ended."""
    left = deadline - time.monotonic()
    wait_until(lambda: len(load) >= count, f"{count:.0f} requests; {len(load)} by now", left)


def summary(records: NDArray[np.void], swaps: list[Swap]) -> Result:
    """Counts, and latencies within swaps and without."""
    during = np.zeros(len(records), bool)
    for of in swaps:
        during |= (records["ended"] >= of.promoted) & (records["sent"] <= of.served + AFTER)
    latency = 1e3 * (records["ended"] - records["sent"])
    steady, swapping = (np.percentile(latency[of], (50, 99)) for of in (~during, during))
    outcomes = np.bincount(records["outcome"], minlength=4)
    return Result(
        requests=len(records),
        swaps=len(swaps),
        lost=int(outcomes[LOST] + outcomes[REFUSED]),
        wrong=int(outcomes[WRONG]),
        refused=int(np.sum((records["outcome"] == RIGHT) & (records["status"] != 200))),
        seconds_to_serve=float(np.median([of.served - of.promoted for of in swaps])),
        requests_per_second=len(records) / float(np.ptp(records["ended"])),
        p50_steady=float(steady[0]),
        p99_steady=float(steady[1]),
        p50_swap=float(swapping[0]),
        p99_swap=float(swapping[1]),
        requests_in_swaps=int(during.sum()),
    )


def table(of: Result) -> Table:
    """One row."""
    cells: list[tuple[Column, float]] = [
        (Column("requests", ","), of.requests),
        (Column("swaps"), of.swaps),
        (Column("lost"), of.lost),
        (Column("wrong"), of.wrong),
        (Column("refused"), of.refused),
        (Column("p99 steady (ms)", ".1f"), of.p99_steady),
        (Column("p99 during a swap (ms)", ".1f"), of.p99_swap),
        (Column("ratio", ".2f"), of.ratio),
        (Column("promotion to first answer (s)", ".2f"), of.seconds_to_serve),
        (Column("requests/s", ",.0f"), of.requests_per_second),
    ]
    columns, row = zip(*cells, strict=True)
    return Table(columns, [row])


if __name__ == "__main__":
    main()
