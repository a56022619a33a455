"""Faults under load: has every request one right answer, and does the old model go on?

    PYTHONPATH=src:. python benchmarks/serving_faults.py --times 20
    PYTHONPATH=src:. python benchmarks/serving_faults.py --times 3 --only "zip bomb"

A registry (MLflow, SQLite) and the service run as processes on loopback, clients ask without a
pause, and each fault of `serving_fault_cases` is played so many times. Every answer's numbers are
held against those of the version that it names.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from numpy.typing import NDArray
from serving_clients import LOST, REFUSED, WRONG, asking
from serving_fault_cases import FAULTS, Fault
from serving_processes import Facts, command, wait_until
from serving_stage import Stage, serving, staged

from tomodistill.evaluation.table import Cell, Column, Table
from tomodistill.machine import cores

_MEANWHILE = 0.3  # seconds that clients ask undisturbed
MOST = Facts(mib=300, peak=300, threads=8, files=16)  # more than before the fault


@dataclass(frozen=True)
class Played:
    """One fault, some times."""

    fault: str
    times: int  # that all was well again
    requests: int  # that were sent
    answers: dict[int, int]  # status -> how many
    lost: int
    wrong: int
    refused: int  # connections, while nothing listened
    slowest: float  # answer, in seconds
    recovered: tuple[float, ...]  # seconds, of each time that has such
    more: Facts  # than after the first time, which may import what all others find
    problems: tuple[str, ...]


def parse() -> argparse.Namespace:
    """Flags."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/serving"))
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--only", choices=[fault.name for fault in FAULTS], nargs="*")
    parser.add_argument("--clients", type=int, default=4)
    return parser.parse_args()


def main() -> None:
    """Play, print and write; the exit status is 1 if anything was not as it should be."""
    given = parse()
    given.out.mkdir(parents=True, exist_ok=True)
    faults = [fault for fault in FAULTS if not given.only or fault.name in given.only]
    played: list[Played] = []
    with TemporaryDirectory() as work, staged(Path(work)) as stage:
        for failing, alike in groupby(faults, lambda fault: fault.failing):
            with serving(stage, failing=failing):
                for fault in alike:
                    played.append(play(stage, fault, times=given.times, clients=given.clients))
                    write(given, played)
    print(table(played).markdown())
    sys.exit(any(of.problems for of in played))


def play(stage: Stage, fault: Fault, *, times: int, clients: int) -> Played:
    """A fault under load, until it was played so often or something was not as it should be."""
    problems, recovered = [], []
    with asking(stage.service.port, stage.questions, clients=clients, folder=stage.folder) as load:
        before = stage.service.facts()
        try:
            wait_until(lambda: len(load) > 0, "the first answer")
            for number, seconds in enumerate(_repeated(stage, fault, times)):
                recovered.append(seconds)
                if number == 0:
                    stage.service.forget_peak()
                    before = stage.service.facts()
            wait_until(lambda: _settled(stage, before), "its connections and threads to end")
        except (OSError, RuntimeError) as error:
            problems.append(f"{error}")
            stage.mend()
    after = stage.service.facts()
    more = Facts(*(now - then for now, then in zip(after, before, strict=True)))
    return _played(fault, load.records(), recovered, more, problems, may_lose=clients * times)


def _repeated(stage: Stage, fault: Fault, times: int) -> Iterator[float | None]:
    """What each time returns."""
    if fault.at_once:
        with ThreadPoolExecutor(times) as pool:
            yield from pool.map(fault.do, [stage] * times)
        return
    for _ in range(times):
        yield fault.do(stage)
        time.sleep(_MEANWHILE)


def _settled(stage: Stage, before: Facts) -> bool:
    now = stage.service.facts()
    return now.files - before.files <= MOST.files and now.threads - before.threads <= MOST.threads


def _played(
    fault: Fault,
    records: NDArray[np.void],
    recovered: Sequence[float | None],
    more: Facts,
    problems: Sequence[str],
    *,
    may_lose: int,
) -> Played:
    outcomes = np.bincount(records["outcome"], minlength=4).tolist()
    sent = records[records["outcome"] != REFUSED]
    answers = Counter(sent["status"][sent["outcome"] != LOST].tolist())
    found = {
        "answers that are wrong": outcomes[WRONG] > 0,
        "requests without an answer": outcomes[LOST] > fault.may_lose * may_lose,
        "other answers than expected": not answers.keys() <= {200, *fault.statuses},
        "no sound answer": not answers[200],
        "memory": more.mib > MOST.mib or more.peak > MOST.peak,
    }
    return Played(
        fault=fault.name,
        times=len(recovered),
        requests=len(sent),
        answers=dict(answers),
        lost=outcomes[LOST],
        wrong=outcomes[WRONG],
        refused=outcomes[REFUSED],
        slowest=float((sent["ended"] - sent["sent"]).max(initial=0)),
        recovered=tuple(seconds for seconds in recovered if seconds is not None),
        more=more,
        problems=(*problems, *(name for name, holds in found.items() if holds)),
    )


def write(given: argparse.Namespace, played: Sequence[Played]) -> None:
    """What there is by now."""
    about = {
        "command": command(),
        "cores": cores(),
        "clients": given.clients,
    }
    whole = {**about, "faults": [{**asdict(of), "more": of.more._asdict()} for of in played]}
    (given.out / "faults.json").write_text(json.dumps(whole, indent=2) + "\n")
    (given.out / "faults.md").write_text(table(played).markdown() + "\n")


def table(played: Sequence[Played]) -> Table:
    """One row for each fault."""
    columns = (
        Column("fault"),
        Column("times"),
        Column("requests", ","),
        Column("answers"),
        Column("lost", ","),
        Column("wrong", ","),
        Column("slowest answer (s)", ".2f"),
        Column("recovered within (s)", ".1f"),
        Column("memory (MiB)", "+.0f"),
        Column("threads", "+"),
        Column("as it should be"),
    )
    return Table(columns, [_row(of) for of in played])


def _row(of: Played) -> list[Cell]:
    return [
        of.fault,
        of.times,
        of.requests,
        ", ".join(f"{count:,} × {status}" for status, count in sorted(of.answers.items())),
        of.lost,
        of.wrong,
        of.slowest,
        max(of.recovered, default=None),
        of.more.mib,
        of.more.threads,
        "; ".join(of.problems) or "yes",
    ]


if __name__ == "__main__":
    main()
