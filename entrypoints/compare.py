"""The tables and the figure of `main`, for any finished trainings: filter="tags.student = 's3'"."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from entrypoints.flags import parse_flags
from tomodistill.errors import InputError
from tomodistill.evaluation.comparison import (
    Result,
    is_one_comparison,
    notes,
    table_1,
    table_2,
    table_of_runs,
)
from tomodistill.evaluation.figures import comparison_figure
from tomodistill.evaluation.table import Table
from tomodistill.tracking.links import compare_url, students_url, ui_hint
from tomodistill.tracking.records import log_description, log_figure, log_text
from tomodistill.tracking.results import find_results
from tomodistill.tracking.runs import phase_run, take_over_run

FILTER = "filter"  # flag: MLflow's words for which runs; nothing = all of them
FLAGS = {FILTER: ""}
TITLES = {
    "table_1": "Table 1: teacher and students",
    "table_2": "Table 2: students on soft labels beside their teacher",
    "runs": "Runs, the best on the validation part first",
}


def main(arguments: list[str]) -> None:
    """The entry point."""
    filter, run_id = parse_flags(__doc__, FLAGS, arguments)[FILTER], take_over_run()
    results = find_results(filter)
    if not results:
        raise InputError(
            expected="finished trainings of students or teachers",
            found=f"none with filter={filter!r}" if filter else "none",
            todo="Ask for less with filter=..." if filter else "Train some: mlflow run . -e main",
        )
    if run_id:
        with phase_run("compare", name=f"compare {filter or 'all'}", run_id=run_id):
            record(results)
    show(results)


def record(results: Sequence[Result]) -> None:
    """Tables and figure of these trainings, into the active run; its page opens with them."""
    named = tables(results)
    for name, table in named.items():
        log_text(f"tables/{name}.md", table.markdown())
        log_text(f"tables/{name}.csv", table.csv())
    log_figure("comparison", comparison_figure(results))
    log_description(as_text(named, results))


def show(results: Sequence[Result]) -> None:
    """The tables, for a terminal, and where to see the same in the UI."""
    plain = [replace(result, url="") for result in results]
    print(as_text(tables(plain), plain))
    print(f"\nin the UI{ui_hint()}: {students_url(results[0].experiment_id)}")
    print(f"these runs alone: {compare_url(results)}")


def tables(results: Sequence[Result]) -> dict[str, Table]:
    """The paper's two tables, where the results are one comparison, and one row for each run."""
    runs = {"runs": table_of_runs(results)}
    if not is_one_comparison(results):
        return runs
    return {"table_1": table_1(results), "table_2": table_2(results), **runs}


def as_text(named: Mapping[str, Table], results: Sequence[Result]) -> str:
    """Markdown."""
    parts = [f"**{TITLES[name]}**\n\n{table.markdown()}" for name, table in named.items()]
    return "\n\n".join([*parts, notes(results)])
