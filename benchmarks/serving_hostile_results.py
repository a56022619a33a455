"""What came of a family of hostile requests, and the table of all."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from serving_clients import RIGHT
from serving_hostile_wire import RESET, Played

from tomodistill.evaluation.table import Column, Table

_TOLD = 10  # problems of a family


@dataclass(frozen=True)
class Outcome:
    """Of one family, and of the bystander whose valid requests go on meanwhile."""

    family: str
    connections: int
    answers: dict[str, int]  # status -> how many
    slowest: float  # seconds, from connecting to the end of the connection
    before: float  # MiB of the service
    peak: float  # likewise
    bystander: int  # answers, all of them right
    bystander_slowest: float  # seconds
    problems: tuple[str, ...]

    @classmethod
    def of(
        cls,
        family: str,
        played: Sequence[Played],
        bystander: NDArray[np.void],
        *,
        before: float,
        peak: float,
        log: str,
        most: float,
    ) -> "Outcome":
        """`bystander`: its records; `log`: what the service said; `most`: MiB at the peak."""
        found = {
            f"{peak - before:.0f} MiB more": peak > most,
            "an exception in the log": "Traceback" in log,
            "the bystander's answers": bool(
                (bystander["outcome"] != RIGHT).any() or (bystander["status"] != 200).any()
            ),
            "no request of the bystander": not len(bystander),
        }
        said = [f"{one.name[:300]}: {one.problem}" for one in played if one.problem]
        seconds = bystander["ended"] - bystander["sent"]
        statuses = Counter(status for one in played for status in one.statuses)
        return cls(
            family=family,
            connections=len(played),
            answers={_name(status): statuses[status] for status in sorted(statuses)},
            slowest=max(one.seconds for one in played),
            before=before,
            peak=peak,
            bystander=len(bystander),
            bystander_slowest=float(seconds.max(initial=0)),
            problems=(*(name for name, holds in found.items() if holds), *said[:_TOLD]),
        )


def write(out: Path, about: dict[str, Any], outcomes: Sequence[Outcome]) -> None:
    """What there is by now, to read and to compute with."""
    out.mkdir(parents=True, exist_ok=True)
    whole = {**about, "families": [asdict(of) for of in outcomes]}
    (out / "hostile.json").write_text(json.dumps(whole, indent=2) + "\n")
    lines = ("# Hostile input", _told(about), table(outcomes).markdown())
    (out / "hostile.md").write_text("\n\n".join(lines) + "\n")


def table(outcomes: Sequence[Outcome]) -> Table:
    """One row for each family."""
    columns = (
        Column("family"),
        Column("connections", ","),
        Column("answers"),
        Column("slowest (s)", ".2f"),
        Column("memory before (MiB)", ".0f"),
        Column("peak (MiB)", ".0f"),
        Column("bystander's answers", ","),
        Column("its slowest (s)", ".2f"),
        Column("as it should be"),
    )
    rows = [
        [
            of.family,
            of.connections,
            ", ".join(f"{count:,} × {status}" for status, count in of.answers.items()),
            *(of.slowest, of.before, of.peak, of.bystander, of.bystander_slowest),
            f"no: {len(of.problems)}" if of.problems else "yes",
        ]
        for of in outcomes
    ]
    return Table(columns, rows)


def _name(status: int) -> str:
    return "reset" if status == RESET else f"{status}"


def _told(about: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return (
        f"`{about['command']}`\n\n{about['cores']} cores, shared with the clients; {versions}. "
        f"Seed {about['seed']}. The service takes bodies of {about['max_body_mib']} MiB and may "
        f"need {about['most_mib']:.0f} MiB in all: {about['bound']}."
    )
