"""Tables and the figure of what benchmarks/inference.py timed, also of a run that was stopped.

PYTHONPATH=src python benchmarks/inference_tables.py benchmarks/results/inference
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from inference_cases import END_TO_END, ENGINE, PREPROCESSING, TODAY
from inference_products import PRODUCT, product_gflop
from inference_results import Results
from inference_turns import Key, quartiles

from tomodistill.evaluation.table import Cell, Column, Interval, Table

if TYPE_CHECKING:  # which a machine lent for its GPU may lack
    from matplotlib.figure import Figure

GOAL = 40  # times the teacher, for fast students


def end_to_end_table(results: Results) -> Table:
    """End to end, from stored volumes to logits, in the largest batch."""
    teacher = results.of_teacher(END_TO_END)
    today = results.of_teacher(END_TO_END, TODAY)
    columns = (
        Column("network"),
        Column("GFLOP", ".3g"),
        Column("engine"),
        Column("precision"),
        Column("volumes/s", ",.0f"),
        Column(f"speedup ({teacher.engine} float32)", ".3g"),
        Column(f"speedup ({TODAY})", ".3g"),
        Column("of the copy limit", ".2f"),
        Column("gate"),
    )
    rows = [
        [
            key.network,
            results.about["gflop"][key.network],
            key.engine,
            key.precision,
            results.rounds.rate(key).value,
            results.rounds.ratio(key, teacher),
            results.rounds.ratio(key, today),
            results.copy_share(key),
            _gate(results, key),
        ]
        for key in results.keys(END_TO_END)
    ]
    return Table(columns, rows)


def _gate(results: Results, key: Key) -> str | None:
    """Whether that precision may be used, as the version says."""
    figures = results.about["gates"][key.network].get(key.engine, {}).get(key.precision)
    if not figures or not figures["items"]:  # the reference itself, or random weights
        return None
    return "passed" if figures["passed"] else "not passed"


def engine_table(results: Results) -> Table:
    """Engines alone, preprocessed volumes to logits: speedup by batch, the rest at the best."""
    teacher, keys = results.of_teacher(ENGINE), results.keys(ENGINE)
    batches = sorted({key.batch for key in keys})
    columns = (
        Column("network"),
        Column("engine"),
        Column("precision"),
        *(Column(f"batch {batch}", ".3g") for batch in batches),
        Column("volumes/s", ",.0f"),
        Column("of the peak", ".2f"),
        Column("preprocessing / engine", ".2f"),
    )
    rows: list[list[Cell]] = []
    for opened in dict.fromkeys(key[:3] for key in keys):
        of = [key for key in keys if key[:3] == opened]
        ratios = {key.batch: results.rounds.ratio(key, teacher) for key in of}
        best = results.rounds.fastest(of)
        (prepared,) = results.keys(PREPROCESSING, network=best.network)
        rest = (
            results.rounds.rate(best).value,
            results.peak_share(best),
            results.rounds.ratio(best, prepared),
        )
        rows.append([*opened, *map(ratios.get, batches), *rest])
    return Table(columns, rows)


def peak_table(results: Results) -> Table:
    """Products of square matrices: the best of a precision is the peak."""
    columns = (
        Column("rows of both", ",.0f"),
        Column("library"),
        Column("precision"),
        Column("GFLOP/s", ",.0f"),
        Column("of the best", ".2f"),
    )
    rows = []
    for key in results.keys(PRODUCT):
        best = results.rounds.fastest(results.keys(PRODUCT, precision=key.precision), product_gflop)
        scale = product_gflop(key) / product_gflop(best)
        share = Interval(*(scale * value for value in results.rounds.ratio(key, best)))
        rate = Interval(*(product_gflop(key) * value for value in results.rounds.rate(key)))
        rows.append([int(key.network), key.engine, key.precision, rate, share])
    return Table(columns, rows)


def process_table(results: Results) -> Table:
    """Fresh processes: from the start of Python to the first answer, and the peak of memory."""
    columns = (
        Column("engine"),
        Column("precision"),
        Column("seconds to the first answer", ".2f"),
        Column("peak memory, MB", ",.0f"),
    )
    rows = []
    for way in dict.fromkeys((of["engine"], of["precision"]) for of in results.processes):
        of_way = [of for of in results.processes if (of["engine"], of["precision"]) == way]
        seconds = [of["seconds"] for of in of_way if "seconds" in of]
        memory = [of["bytes"] / 1e6 for of in of_way if "bytes" in of]
        rows.append([*way, quartiles(seconds) if seconds else None, *(memory or [None])])
    return Table(columns, rows)


def stream_table(results: Results) -> Table:
    """Streams of volumes from host memory, out of a ring of distinct ones."""
    columns = (
        Column("network"),
        Column("engine"),
        Column("precision"),
        Column("measure"),
        Column("volumes", ",.0f"),
        Column("distinct", ",.0f"),
        Column("seconds", ",.1f"),
    )
    return Table(columns, [[*of.values()] for of in results.streams])


def speed_figure(results: Results) -> Figure:
    """Speedup over the teacher, end to end, by network; each engine and precision a colour."""
    from matplotlib.figure import Figure

    teacher, keys = results.of_teacher(END_TO_END), results.keys(END_TO_END)
    ways = list(dict.fromkeys(key[1:3] for key in keys))
    networks = list(dict.fromkeys(key.network for key in keys))
    figure = Figure((1.6 * len(networks) + 2.5, 4.2), layout="constrained")
    axes = figure.subplots()
    for place, (engine, precision) in enumerate(ways):
        of = results.keys(END_TO_END, engine=engine, precision=precision)
        ratios = [results.rounds.ratio(key, teacher) for key in of]
        at = [networks.index(key.network) + (place + 0.5) / len(ways) * 0.8 - 0.4 for key in of]
        heights = [ratio.value for ratio in ratios]
        errors = [[r.value - r.low for r in ratios], [r.high - r.value for r in ratios]]
        label = engine if engine == TODAY else f"{engine} {precision}"
        bars = axes.bar(at, heights, 0.75 / len(ways), yerr=errors, label=label)
        axes.bar_label(bars, fmt="%.3g", fontsize=7, padding=2)
    axes.axhline(GOAL, color="gray", linestyle=":", label=f"{GOAL} times")
    axes.set(yscale="log", ylabel=f"speedup, teacher in {teacher.engine} float32 = 1")
    axes.set_xticks(range(len(networks)), networks)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.margins(y=0.1)
    figure.legend(loc="outside upper center", ncols=len(ways) + 1, frameon=False, fontsize=8)
    return figure


def write_results(out: Path) -> str:
    """Tables as Markdown and CSV, and the figure, of what is in the folder; returns the text."""
    results = Results.read(out)
    text = [_words(results)]
    for make in TABLES:
        if (table := _filled(make(results))).rows:
            (out / f"{make.__name__.removesuffix('_table')}.csv").write_text(table.csv())
            text.append(f"{make.__doc__}\n\n{table.markdown()}")
    (out / "tables.md").write_text("\n\n".join(text) + "\n")
    if find_spec("matplotlib"):
        speed_figure(results).savefig(out / "speed.png", dpi=120)
    return "\n\n".join(text)


def _filled(table: Table) -> Table:
    """Without the columns of which no row says anything."""
    kept = [
        index
        for index in range(len(table.columns))
        if any(row[index] is not None for row in table.rows)
    ]
    columns = tuple(table.columns[index] for index in kept)
    return Table(columns, [[row[index] for index in kept] for row in table.rows])


def _words(results: Results) -> str:
    """How it was measured."""
    about = results.about
    trained = ", ".join(about["trained"])
    weights = f"trained: {trained}; the others have" if trained else "all networks have"
    return (
        f"`{about['command']}`\n\n{about['machine']}, {about['cores']} cores, which every engine "
        f"uses; {about['versions']}. Boxes of {about['box']} voxels; {weights} random "
        "weights. Medians "
        f"(and quartiles) of {results.rounds.count} rounds in which all cases take turns in one "
        "process, each relative to the teacher's turn before it. A peak is the best matrix product "
        "in that precision."
    )


TABLES = (end_to_end_table, engine_table, peak_table, process_table, stream_table)

if __name__ == "__main__":
    print(write_results(Path(sys.argv[1])))
