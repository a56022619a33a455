"""`main` and `compare` at `smoke` scale: interrupted, continued, found again, compared."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from entrypoints import compare, distill, main
from entrypoints.__main__ import main as entry
from tests.entrypoints.conftest import store_in
from tests.processes import working_in
from tomodistill.tracking.pages import VIEW_KEY
from tomodistill.tracking.results import find_results

COMMAND = ["--scale", "smoke", "--students", "s2,s3"]


@pytest.fixture(scope="module")
def store(taught):
    """A comparison interrupted after two of four students, then finished.

    Yields the trainings before the interruption, and the runs of `main` after the second time.
    """
    with working_in(taught, store_in(taught)), pytest.MonkeyPatch.context() as patch:
        patch.setattr(main, "ensure_student", stop_after(2))
        with pytest.raises(KeyboardInterrupt):
            main.main(COMMAND)
        first = runs("teacher") + runs("distill")
        patch.undo()
        main.main(COMMAND)
        yield first, runs("main")


def stop_after(count):
    """`ensure_student`, interrupted when it is asked for one more."""
    asked = []

    def ensure(*arguments):
        asked.append(arguments)
        if len(asked) > count:
            raise KeyboardInterrupt
        return distill.ensure_student(*arguments)

    return ensure


def runs(phase, status="FINISHED"):
    wanted = f"tags.phase = '{phase}' AND attributes.status = '{status}'"
    return MlflowClient().search_runs(["0"], wanted, order_by=["start_time"])


def ids(found):
    return [run.info.run_id for run in found]


def table(run_id, name):
    text = mlflow.artifacts.load_text(f"runs:/{run_id}/tables/{name}.csv")
    return list(csv.DictReader(io.StringIO(text)))


def test_an_interrupted_comparison_continues_with_what_is_missing(store):
    first, comparisons = store
    assert ids(runs("teacher")) == ids(first[:1])
    assert ids(runs("distill"))[:2] == ids(first[1:])
    assert len(runs("distill")) == 4
    assert len(comparisons) == len(runs("main", "KILLED")) == 1


def test_a_second_comparison_trains_nothing(store, capsys):
    before = ids(runs("teacher") + runs("distill"))
    main.main(COMMAND)
    assert ids(runs("teacher") + runs("distill")) == before
    assert table(runs("main")[-1].info.run_id, "runs") == table(runs("main")[0].info.run_id, "runs")
    assert "compare-runs?runs=" in capsys.readouterr().out


def test_runs_are_children_of_the_comparison(store):
    parents = {run.data.tags.get("mlflow.parentRunId") for run in runs("distill")}
    assert parents == set(ids(runs("main", "KILLED") + runs("main")[:1]))


def test_tables_hold_what_the_runs_measured(store):
    teacher, students = runs("teacher")[0], runs("distill")
    first = {row["model"]: row for row in table(runs("main")[0].info.run_id, "table_1")}
    second = {row["model"]: row for row in table(runs("main")[0].info.run_id, "table_2")}
    assert list(first) == list(second) == ["dsrf3d_v2", "s2", "s3"]
    assert float(first["dsrf3d_v2"]["parameters"]) == teacher.data.metrics["cost/parameters"]
    for run in students:
        tags, metrics = run.data.tags, run.data.metrics
        shown = first[tags["student"]][f"accuracy, {tags['labels']} labels"]
        assert float(shown) == metrics["test/accuracy"]
        if tags["labels"] == "soft":
            shown = second[tags["student"]]
            assert float(shown["speedup"]) == metrics["speedup"]
            assert float(shown["accuracy_rate"]) == metrics["accuracy_rate"]


def test_soft_minus_hard_is_paired_by_item(store):
    correct = {}
    for run in runs("distill"):
        text = mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/tables/test_decisions.csv")
        rows = list(csv.DictReader(io.StringIO(text)))
        assert len(rows) == run.data.metrics["test/items"]
        correct[run.data.tags["student"], run.data.tags["labels"]] = sum(
            row["label"] == row["decision"] for row in rows
        ) / len(rows)
    for row in table(runs("main")[0].info.run_id, "table_1")[1:]:
        gain = correct[row["model"], "soft"] - correct[row["model"], "hard"]
        assert float(row["soft minus hard"]) == pytest.approx(gain)


def test_the_page_of_the_comparison_opens_with_its_tables(store):
    run = runs("main")[0]
    assert run.data.tags["mlflow.note.content"].startswith("**Table 1: teacher and students**")
    artifacts = {a.path for a in MlflowClient().list_artifacts(run.info.run_id, "tables")}
    names = ("table_1", "table_2", "runs")
    assert artifacts == {f"tables/{name}.{suffix}" for name in names for suffix in ("md", "csv")}
    figures = MlflowClient().list_artifacts(run.info.run_id, "figures")
    assert [figure.path for figure in figures] == ["figures/comparison.png"]


def test_only_students_on_soft_labels_are_registered(store):
    versions = MlflowClient().search_model_versions("name = 'subtomogram-student'")
    trained = {(v.tags["student"], v.tags["labels"]) for v in versions}
    assert trained == {("s2", "soft"), ("s3", "soft")}
    assert all(v.description.startswith("accuracy 0.") for v in versions)


def test_compare_prints_the_table_of_the_runs_that_match(store, capsys):
    compare.main(["--filter", "tags.student = 's3'"])
    shown = capsys.readouterr().out
    assert "| s3 soft labels, seed 0 | 2 | s3 | soft |" in shown
    assert "| dsrf3d_v2 | hard |" in shown  # the teacher that the ratios are against
    assert "| s2 |" not in shown
    assert f"viewStateShareKey={VIEW_KEY}" in shown


def test_runs_of_two_sets_are_listed_and_never_paired(store):
    teacher, hard, soft, *_ = find_results("tags.student = 's3'")
    elsewhere = replace(soft, config={**soft.config, "data": "other"}, correct={"other": True})
    assert list(compare.tables([teacher, hard, soft])) == ["table_1", "table_2", "runs"]
    assert list(compare.tables([teacher, hard, elsewhere])) == ["runs"]


def test_compare_under_mlflow_run_keeps_its_table(store, monkeypatch):
    opened = MlflowClient().create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", opened)
    compare.main(["--filter", "tags.labels = 'hard'"])
    assert {row["labels"] for row in table(opened, "runs")} == {"hard"}


@pytest.mark.parametrize(
    ("filter", "words"),
    [
        ("tags.student = 's9'", "none with filter=\"tags.student = 's9'\""),
        ("student is s3", "a filter of runs as MLflow has them"),
    ],
)
def test_a_filter_that_finds_nothing_or_says_nothing(store, filter, words, capsys):
    assert entry(["compare", "--filter", filter]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.strip().splitlines()) == 1


def test_an_unknown_student_is_refused_before_anything_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert entry(["main", "--scale", "smoke", "--students", "s3,s9"]) == 2
    assert "a student: s1, s2, s3" in capsys.readouterr().err
    assert not Path("data").exists()
