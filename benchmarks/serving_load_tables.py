"""Tables of what benchmarks/serving_load.py measured, also of a run that was stopped.

PYTHONPATH=src:. python benchmarks/serving_load_tables.py benchmarks/results/serving
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scipy.stats import linregress, t

from tomodistill.evaluation.table import Cell, Column, Interval, Table

LOADS, MEMORY, TABLES = "loads.jsonl", "memory.jsonl", "loads.md"
FILLING = 60.0  # seconds that are left out of a slope: caches and arenas fill
_MINUTE = 60.0  # seconds


def load_table(loads: Sequence[dict[str, Any]]) -> Table:
    """What became of requests."""
    columns = (
        Column("student"),
        Column("times capacity", ".1f"),
        Column("capacity, volumes/s", ",.0f"),
        Column("offered, volumes/s", ",.0f"),
        Column("seconds", ",.0f"),
        Column("goodput / capacity", ".2f"),
        Column("answers by status"),
        Column("requests without one answer", ",.0f"),
        Column("clients' cores", ".2f"),
    )
    rows = [
        [
            of["student"],
            of["times"],
            of["capacity"],
            of["offered"],
            of["seconds"],
            of["goodput"] / of["capacity"],
            ", ".join(f"{status}: {count:,}" for status, count in of["answers"].items()),
            of["requests"] - sum(n for status, n in of["answers"].items() if status != "0"),
            of["load"],
        ]
        for of in loads
    ]
    return Table(columns, rows)


def time_table(loads: Sequence[dict[str, Any]]) -> Table:
    """Milliseconds, as clients see them."""
    named = {"answered": "good", "refused": "refused", "sent too late": "late"}
    shares = ("p50", "p99", "max")
    columns = (
        Column("student"),
        Column("times capacity", ".1f"),
        *(Column(f"{name}, {share}", ",.1f") for name in named for share in shares),
    )
    rows = [
        [
            of["student"],
            of["times"],
            *((of[key] or {}).get(share) for key in named.values() for share in shares),
        ]
        for of in loads
    ]
    return Table(columns, rows)


def memory_table(samples: Sequence[dict[str, Any]]) -> Table:
    """The service's resident memory, looked at each second."""
    columns = (
        Column("student x times capacity"),
        Column("samples", ",.0f"),
        Column("MiB at first", ",.0f"),
        Column("MiB at last", ",.0f"),
        Column("MiB at most", ",.0f"),
        Column("MiB a minute after the first", ".2f"),
    )
    rows: list[list[Cell]] = []
    for what in dict.fromkeys(of["what"] for of in samples):
        mib = [of["mib"] for of in samples if of["what"] == what]
        seconds = [of["seconds"] for of in samples if of["what"] == what]
        rows.append([what, len(mib), mib[0], mib[-1], max(mib), slope(seconds, mib)])
    return Table(columns, rows)


def slope(seconds: Sequence[float], mib: Sequence[float]) -> Interval | None:
    """MiB a minute with its 95 % interval, the first minute left out; None of a short run."""
    settled = [(x, y) for x, y in zip(seconds, mib, strict=True) if x > FILLING]
    if len(settled) < FILLING:
        return None
    line = linregress(*zip(*settled, strict=True))
    wide = float(t.ppf(0.975, len(settled) - 2)) * line.stderr
    return Interval(*(_MINUTE * of for of in (line.slope, line.slope - wide, line.slope + wide)))


def write_load_tables(out: Path) -> str:
    """Into the folder, and as text."""
    loads, samples = (
        list(map(json.loads, (out / name).read_text().splitlines()))
        if (out / name).exists()
        else []
        for name in (LOADS, MEMORY)
    )
    commands = dict.fromkeys(of["command"] for of in loads)
    sections = {
        "Requests": load_table(loads),
        "Milliseconds": time_table(loads),
        "Memory": memory_table(samples),
    }
    text = "\n\n".join(
        (
            "# The service under load",
            *(f"`python benchmarks/serving_load.py {of}`" for of in commands),
            *(f"## {title}\n\n{table.markdown()}" for title, table in sections.items()),
        )
    )
    (out / TABLES).write_text(text + "\n")
    return text


if __name__ == "__main__":
    print(write_load_tables(Path(sys.argv[1])))
