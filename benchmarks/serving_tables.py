"""Tables of what benchmarks/serving.py measured, also of a run that was stopped.

PYTHONPATH=src:. python benchmarks/serving_tables.py benchmarks/results/serving
"""

import json
import sys
from pathlib import Path
from typing import Any

from inference_turns import quartiles
from serving_bare import CLASSIFIER, ENGINE
from serving_servers import CLASSIFY, DISCARD, JSON, LITSERVES, OIP, PARQUET
from serving_turns import BARE, FLAT_OUT, PACED, Cell, Turns, read_turns

from tomodistill.evaluation.table import Column, Table

ABOUT, TURNS, TABLES = "about.json", "turns.jsonl", "tables.md"


def rate_table(turns: Turns) -> Table:
    """Volumes a second, and how many times as many as others ours answers."""
    litserves = _litserves(turns)
    servers = [of for of in (CLASSIFY, OIP, *litserves, PARQUET, JSON) if of in turns.servers]
    beside = {"LitServe's best": litserves, PARQUET: [PARQUET], JSON: [JSON]}
    others = {name: of for name, of in beside.items() if set(of) & set(servers)}
    columns = (
        *(Column(name) for name in Cell._fields),
        *(Column(server, ",.0f") for server in servers),
        *(Column(f"{CLASSIFY} / {other}", ".3g") for other in others),
    )
    rows = [
        [
            *map(str, cell),
            *(rate.value if (rate := turns.rate(of, cell)) else None for of in servers),
            *(turns.ratio(CLASSIFY, of, cell) for of in others.values()),
        ]
        for cell in turns.cells
    ]
    return Table(columns, rows)


def latency_table(turns: Turns) -> Table:
    """Milliseconds from a request to its answer: the median of rounds' p50 and p99."""
    servers = [of for of in turns.servers if of in (CLASSIFY, OIP, JSON, PARQUET)]
    servers += _litserves(turns)
    named = [f"{of}, {share}" for of in servers for share in ("p50", "p99")]
    columns = (*map(Column, Cell._fields), *(Column(name, ",.1f") for name in named))
    rows = [
        [
            *map(str, cell),
            *(_milliseconds(turns, of, cell, p) for of in servers for p in ("p50", "p99")),
        ]
        for cell in turns.cells
    ]
    return Table(columns, rows)


def saturation_table(turns: Turns) -> Table:
    """What is bare, beside clients of the server that discards."""
    cell = max(turns.cells)
    columns = (
        Column("beside the discarding server"),
        Column("volumes/s", ",.0f"),
        Column("discarded volumes/s", ",.0f"),
        Column(f"{CLASSIFY} / bare", ".2f"),
        Column(f"{OIP} / bare", ".2f"),
    )
    rows = []
    for what in (CLASSIFIER, ENGINE):
        for pace in (FLAT_OUT, PACED):
            bare = BARE.format(what=what, pace=pace)
            rates = turns.rate(bare, cell), turns.rate(f"{DISCARD}, {what} {pace}", cell)
            ratios = (turns.ratio(of, [bare], cell) for of in (CLASSIFY, OIP))
            rows.append([bare, *(of.value if of else None for of in rates), *ratios])
    return Table(columns, rows)


def load_table(turns: Turns) -> Table:
    """What the clients cost: cores while they drive the server that discards, and the service."""
    columns = (
        *(Column(name) for name in Cell._fields),
        Column(f"{DISCARD}, volumes/s", ",.0f"),
        Column("clients' cores then", ".2f"),
        Column(f"clients' cores, {CLASSIFY}", ".2f"),
        Column("failed requests of all"),
    )
    rows = [
        [
            *map(str, cell),
            rate.value if (rate := turns.rate(DISCARD, cell)) else None,
            *(_median(turns, of, cell, "load") for of in (DISCARD, CLASSIFY)),
            str(sum(turn.failed for of in turns.servers for turn in turns.of(of, cell))),
        ]
        for cell in turns.cells
    ]
    return Table(columns, rows)


def _litserves(turns: Turns) -> list[str]:
    return [of for of in turns.servers if of.startswith(LITSERVES)]


def _median(turns: Turns, server: str, cell: Cell, what: str) -> float | None:
    """Of rounds."""
    values = [getattr(turn, what) for turn in turns.of(server, cell)]
    return quartiles(values).value if values else None


def _milliseconds(turns: Turns, server: str, cell: Cell, what: str) -> float | None:
    seconds = _median(turns, server, cell, what)
    return None if seconds is None else 1e3 * seconds


def write_tables(out: Path) -> str:
    """Into the folder, and as text."""
    about, turns = json.loads((out / ABOUT).read_text()), Turns(read_turns(out / TURNS))
    sections = {
        "Volumes a second": rate_table(turns),
        "Latency in milliseconds": latency_table(turns),
        "At saturation, beside what is bare": saturation_table(turns),
        "What the clients cost": load_table(turns),
    }
    text = "\n\n".join(
        (
            "# The service beside others",
            _about(about, turns),
            *(f"## {title}\n\n{table.markdown()}" for title, table in sections.items()),
        )
    )
    (out / TABLES).write_text(text + "\n")
    return text


def _about(about: dict[str, Any], turns: Turns) -> str:
    versions = ", ".join(map(" ".join, about["versions"].items()))
    rounds = len(turns.of(CLASSIFY, max(turns.cells)))
    return (
        f"`{about['command']}`\n\n{about['machine']}, {about['cores']} cores, which servers and "
        f"clients share; {versions}. Student {about['student']}, boxes of {about['box']}³ voxels, "
        f"{about['classes']} classes, {about['engine']}; volumes of noise, seed {about['seed']}. "
        f"Medians of {rounds} rounds; in brackets quartiles of ratios formed within a round."
    )


if __name__ == "__main__":
    print(write_tables(Path(sys.argv[1])))
