"""`search` at `smoke` scale: stopped, continued, found again; what it chooses and registers."""

import csv
import io
import shlex
import signal
from types import SimpleNamespace

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from entrypoints import search, trials
from entrypoints.__main__ import main as entry
from entrypoints.distill import FLAGS as OF_DISTILL
from entrypoints.flags import scale_from
from tests.entrypoints.conftest import store_in
from tests.processes import stop_after, working_in
from tomodistill.evaluation.pareto import Point
from tomodistill.evaluation.search import Search
from tomodistill.evaluation.table import Interval
from tomodistill.networks.table import FAST
from tomodistill.scales import SCALES

GIVEN = ["--scale", "smoke", "--student_learning_rate", "1e-3"]
TRIALS = len(FAST) + 1  # the table's own, and one that the sampler proposes
COMMAND = ["search", *GIVEN, "--minutes", "60", "--trials", f"{TRIALS}"]


@pytest.fixture(scope="module")
def store(taught):
    """s1 distilled before, then a search that was stopped in its third trial and finished."""
    with working_in(taught, store_in(taught)), pytest.MonkeyPatch.context() as patch:
        assert entry(["distill", *GIVEN, "--student", "s1"]) == 0
        patch.setattr(trials, "train_student", stop_after(2, trials.train_student))
        assert entry(COMMAND) == 128 + signal.SIGINT
        patch.undo()
        assert entry(COMMAND) == 0
        yield taught


def runs(phase, status="FINISHED"):
    wanted = f"tags.phase = '{phase}' AND attributes.status = '{status}'"
    return MlflowClient().search_runs(["0"], wanted, order_by=["start_time"])


def ids(found):
    return [run.info.run_id for run in found]


def table():
    """Network -> its row."""
    run_id = runs("search")[0].info.run_id
    text = mlflow.artifacts.load_text(f"runs:/{run_id}/tables/networks.csv")
    return {row["network"]: row for row in csv.DictReader(io.StringIO(text))}


def chosen_by_hand():
    """The fastest trial that is accurate enough on the validation part, else the most accurate."""
    measured = {run.data.params["student.student"]: run.data.metrics for run in runs("trial")}
    enough = [name for name, of in measured.items() if of["val/accuracy_rate"] >= 0.97]
    if enough:
        return max(enough, key=lambda name: measured[name]["speedup"])
    return max(
        measured, key=lambda name: (measured[name]["val/accuracy"], measured[name]["speedup"])
    )


def test_an_interrupted_search_goes_on_with_what_is_missing(store):
    stopped, finished = runs("search", "KILLED"), runs("search")
    parents = [run.data.tags["mlflow.parentRunId"] for run in runs("trial")]
    assert parents == ids(stopped) * 2 + ids(finished) * (TRIALS - 2)
    assert len(runs("trial", "KILLED")) == 1


def test_the_tables_own_come_first_then_others(store):
    tried = [run.data.params["student.student"] for run in runs("trial")]
    assert tried[:-1] == [*FAST]
    assert tried[-1].startswith("fast-")


def test_trials_measure_cost_speed_and_the_validation_part_alone(store):
    for trial in runs("trial"):
        assert not [name for name in trial.data.metrics if "test" in name]
        speed = [trial.data.metrics[f"speed/speedup_{end}"] for end in ("lower", "upper")]
        assert 0 < speed[0] <= trial.data.metrics["speedup"] <= speed[1]
        assert trial.data.metrics["cost/gflop"] > 0
        assert trial.data.metrics["val/accuracy_low"] <= trial.data.metrics["val/accuracy"]
        assert trial.outputs is None or not trial.outputs.model_outputs
    assert not [name for name in runs("search")[0].data.metrics if "test" in name]


def test_the_choice_is_made_on_the_validation_part_and_registered(store):
    chosen = runs("search")[0].data.tags["chosen"]
    assert chosen == chosen_by_hand()
    s1, student = runs("distill")
    assert (s1.data.tags["student"], student.data.tags["student"]) == ("s1", chosen)
    assert student.data.tags["mlflow.parentRunId"] == ids(runs("search"))[0]
    versions = MlflowClient().search_model_versions(order_by=["version_number DESC"])
    assert [version.tags["student"] for version in versions] == [chosen, "s1"]
    assert student.data.tags["registered.version"] == f"{versions[0].version}"


def test_the_table_has_every_trial_beside_the_teacher_and_the_papers_students(store):
    measured = {run.data.params["student.student"]: run.data.metrics for run in runs("trial")}
    rows = table()
    assert rows.keys() == {*measured, "dsrf3d_v2", "s1"}  # s2 was never distilled here
    for name, metrics in measured.items():
        row = rows[name]
        for column in ("val/accuracy", "val/accuracy_low", "val/accuracy_rate", "speedup"):
            assert float(row[column]) == metrics[column]
        assert float(row["gflop"]) == metrics["cost/gflop"]
    s1 = runs("distill")[0]
    assert s1.info.run_id in rows["s1"]["network_url"]
    assert float(rows["s1"]["speedup"]) == s1.data.metrics["speedup"]
    assert [float(rows["dsrf3d_v2"][of]) for of in ("speedup", "val/accuracy_rate")] == [1, 1]


def test_the_page_says_the_choice_and_the_commands_that_follow(store):
    run = runs("search")[0]
    page, command = run.data.tags["mlflow.note.content"], run.data.tags["chosen.command"]
    chosen, version = run.data.tags["chosen"], runs("distill")[1].data.tags["registered.version"]
    assert page.startswith(f"Chosen: {chosen}: ")
    assert f"    {command}\n" in page
    assert f"mlflow run . -e promote -P student={chosen} -P version={version}\n" in page
    assert page.count("\n| ") == len(table()) + 2
    start, *flags = command.split(" -P ")
    assert start == "mlflow run . -e distill"
    given = dict(shlex.split(flag)[0].split("=", 1) for flag in flags)
    assert given == {"scale": "smoke", "student_learning_rate": "1e-3", "student": chosen}
    assert scale_from({**OF_DISTILL, **given}).student.student == chosen
    figures = MlflowClient().list_artifacts(run.info.run_id, "figures")
    assert [figure.path for figure in figures] == ["figures/pareto.png"]


def test_the_same_search_again_trains_nothing(store, capsys):
    before = ids(runs("trial")), ids(runs("distill"))
    assert entry(COMMAND) == 0
    assert (ids(runs("trial")), ids(runs("distill"))) == before
    said = capsys.readouterr().out
    assert said.count("trial: found in run") == TRIALS
    assert "Chosen: " in said
    first, second = runs("search")
    assert first.data.tags["chosen"] == second.data.tags["chosen"]
    assert second.data.metrics["trials"] == TRIALS


@pytest.mark.parametrize(
    ("minutes", "most", "expected"), [(2.5, 40, 3), (2.0, 40, 2), (0.1, 40, 1), (60.0, 4, 4)]
)
def test_no_trial_begins_after_the_budget(monkeypatch, minutes, most, expected):
    clock = SimpleNamespace(seconds=1000.0)

    def trial(upstream, config):
        clock.seconds += 60
        at = Interval(0.5, 0.4, 0.6)
        return Point(config.student, 10, 0.1, at, 30, 0.5, Interval(9.0, 8.0, 10.0))

    monkeypatch.setattr(search, "monotonic", lambda: clock.seconds)
    monkeypatch.setattr(search, "_ensure_trial", trial)
    header = SimpleNamespace(box=27, class_names=("a", "b", "c"))
    upstream = SimpleNamespace(data=SimpleNamespace(header=header), scale=SCALES["smoke"])
    tried = search._try_networks(upstream, Search(minutes=minutes, trials=most))
    assert len({point.network for point in tried}) == len(tried) == expected


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["--box", "7"], "box: at least 8 voxels"),
        (["--student", "s3"], "flags that this entry point has"),
        (["--labels", "hard"], "flags that this entry point has"),
        (["--transfer", "nowhere.h5"], "transfer: none, a number of items, or paths"),
    ],
)
def test_an_impossible_search_is_refused_before_its_first_run(store, wrong, words, capsys):
    before = MlflowClient().search_runs(["0"])
    assert entry([*COMMAND, *wrong]) == 2
    assert words in capsys.readouterr().err
    assert len(MlflowClient().search_runs(["0"])) == len(before)
