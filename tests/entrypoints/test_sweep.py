"""`sweep` at `smoke` scale: stopped, continued, found again; what it chooses and what it says."""

import csv
import io
import shlex
import signal

import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from entrypoints import sweep, trials
from entrypoints.__main__ import main as entry
from entrypoints.distill import FLAGS as OF_DISTILL
from entrypoints.flags import parse_flags, scale_from
from tests.entrypoints.conftest import store_in
from tests.processes import stop_after, working_in
from tomodistill.errors import InputError
from tomodistill.evaluation.sweep import CONTROL, Settings
from tomodistill.subtomograms.dataset import open_set

GIVEN = ["--scale", "smoke", "--student", "s3", "--teacher_learning_rate", "1e-3"]
SWEEP = ["--temperatures", "2,8", "--losses", "hinton,logits", "--seeds", "0,1"]
COMMAND = [*GIVEN, *SWEEP, "--transfers", "none,12"]
# Of each seed: the control, and for each transfer set hinton at two temperatures and logits.
TRIALS = 2 * (1 + 2 * 3)


@pytest.fixture(scope="module")
def store(taught):
    """A sweep that was stopped before its sixth trial, then finished."""
    with working_in(taught, store_in(taught)), pytest.MonkeyPatch.context() as patch:
        patch.setattr(trials, "train_student", stop_after(5, trials.train_student))
        assert entry(["sweep", *COMMAND]) == 128 + signal.SIGINT
        patch.undo()
        assert entry(["sweep", *COMMAND]) == 0
        yield taught


def runs(phase, status="FINISHED"):
    wanted = f"tags.phase = '{phase}' AND attributes.status = '{status}'"
    return MlflowClient().search_runs(["0"], wanted, order_by=["start_time"])


def ids(found):
    return [run.info.run_id for run in found]


def table(name, run=None):
    run = run or runs("sweep")[0]
    text = mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/tables/{name}.csv")
    return list(csv.DictReader(io.StringIO(text)))


def the_set(store):
    """That of the smoke scale; the transfer set is another."""
    sets = [open_set(path) for path in store.glob("data/sets/*.h5")]
    return next(data for data in sets if data.header.recipe["items"] == 24)


def settings(trial):
    """Of a trial's run, as its parameters say."""
    params = trial.data.params
    names = ("labels", "loss", "temperature", "transfer", "seed")
    return tuple(params[f"student.{name}"] for name in names)


def test_an_interrupted_sweep_goes_on_with_what_is_missing(store):
    stopped, finished = runs("sweep", "KILLED"), runs("sweep")
    parents = [run.data.tags["mlflow.parentRunId"] for run in runs("trial")]
    assert parents == ids(stopped) * 5 + ids(finished) * (TRIALS - 5)
    assert len(runs("trial", "KILLED")) == 1


def test_every_setting_is_tried_once_and_the_control_with_every_seed(store):
    found = [settings(trial) for trial in runs("trial")]
    assert len(set(found)) == TRIALS
    soft = [one for one in found if one[0] == "soft"]
    assert {one[1:3] for one in soft} == {("hinton", "2.0"), ("hinton", "8.0"), ("logits", "5.0")}
    assert {one[3] for one in soft} == {"none", "12"}
    assert [one for one in found if one[0] == "hard"] == [
        ("hard", "hinton", "5.0", "none", "0"),
        ("hard", "hinton", "5.0", "none", "1"),
    ]
    assert {one[4] for one in found[: TRIALS // 2]} == {"0"}  # seed by seed


def test_trials_measure_the_validation_part_and_nothing_else(store):
    data = the_set(store)
    for trial in runs("trial"):
        assert not [name for name in trial.data.metrics if "test" in name]
        assert trial.data.metrics["val/items"] == len(data.rows("val"))
        assert {"val/accuracy_low", "val/accuracy_high", "val/agreement"} <= set(trial.data.metrics)
    assert not [name for name in runs("sweep")[0].data.metrics if "test" in name]


def test_nothing_is_registered_or_mistaken_for_a_student(store):
    assert MlflowClient().search_model_versions() == []
    assert runs("distill") == []
    assert all(trial.outputs is None or not trial.outputs.model_outputs for trial in runs("trial"))


def test_the_table_of_trials_holds_what_they_measured(store):
    rows = table("trials")
    assert len(rows) == TRIALS
    by_run = {trial.info.run_id: trial for trial in runs("trial")}
    for row in rows:
        trial = next(run for run_id, run in by_run.items() if run_id in row["trial_url"])
        labels, loss, temperature, transfer, seed = settings(trial)
        assert row["loss"] == (CONTROL if labels == "hard" else loss)
        assert row["T"] == ("" if "logits" in loss or labels == "hard" else temperature)
        assert (row["transfer"], row["seed"]) == (transfer, seed)
        for name in ("val/accuracy", "val/accuracy_low", "val/agreement"):
            assert float(row[name]) == trial.data.metrics[name]


def test_choices_are_means_over_seeds_the_best_first(store):
    trials, rows = table("trials"), table("sweep")
    assert len(rows) == 7
    for row in rows:
        same = [t for t in trials if all(t[c] == row[c] for c in ("loss", "T", "transfer"))]
        accuracies = [float(trial["val/accuracy"]) for trial in same]
        assert int(row["seeds"]) == len(same) == 2
        assert float(row["val/accuracy, mean over seeds"]) == pytest.approx(np.mean(accuracies))
        assert float(row["spread"]) == pytest.approx(np.std(accuracies, ddof=1))
        assert int(row["transfer items"]) == (12 if row["transfer"] == "12" else 0)
    means = [float(row["val/accuracy, mean over seeds"]) for row in rows[:-1]]
    assert means == sorted(means, reverse=True)
    assert rows[-1]["loss"] == CONTROL


def test_the_page_says_the_best_and_the_command_that_distils_it(store):
    run, best = runs("sweep")[0], table("sweep")[0]
    command = run.data.tags["best.command"]
    assert run.data.tags["mlflow.note.content"].count(command) == 1
    start, *flags = command.split(" -P ")
    assert start == "mlflow run . -e distill"
    given = dict(shlex.split(flag)[0].split("=", 1) for flag in flags)
    scale = scale_from({**OF_DISTILL, **given})
    assert (scale.student.student, scale.student.loss) == ("s3", best["loss"])
    assert scale.student.transfer == best["transfer"]
    assert best["T"] in ("", str(scale.student.temperature))
    assert scale.teacher.learning_rate == 1e-3
    assert run.data.metrics["trials"] == TRIALS
    found = {a.path for a in MlflowClient().list_artifacts(run.info.run_id, "figures")}
    assert found == {"figures/temperature.png", "figures/transfer.png"}


def test_a_second_sweep_of_fewer_settings_trains_nothing(store, capsys):
    before = ids(runs("trial"))
    assert entry(["sweep", *GIVEN, *SWEEP]) == 0
    assert ids(runs("trial")) == before
    assert len(table("trials", runs("sweep")[-1])) == TRIALS - 6
    said = capsys.readouterr().out
    assert said.count("trial: found in run") == TRIALS - 6
    assert "The best on the validation part: " in said
    figures = MlflowClient().list_artifacts(runs("sweep")[-1].info.run_id, "figures")
    assert [figure.path for figure in figures] == ["figures/temperature.png"]


def test_settings_that_are_the_same_count_once():
    given = parse_flags(None, sweep.FLAGS, ["--temperatures", "5, 5.0", "--seeds", "0,0"])
    found = [(s.student.labels, s.student.loss) for s in sweep._scales(given)]
    assert found == [
        ("hard", "hinton"),
        ("soft", "hinton"),
        ("soft", "soft_ce"),
        ("soft", "logits"),
    ]


def test_the_command_quotes_what_a_shell_would_split():
    given = {**sweep.FLAGS, "structures": "/my maps", "scale": "paper"}
    command = sweep._command(given, "s2", Settings("logits", None, "a b.h5", 9))
    assert shlex.split(command) == [
        *("mlflow", "run", ".", "-e", "distill"),
        *("-P", "scale=paper", "-P", "structures=/my maps", "-P", "student=s2"),
        *("-P", "loss=logits", "-P", "transfer=a b.h5"),
    ]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["--losses", "hinton,dist"], "loss: hinton or soft_ce or logits; found 'dist'"),
        (["--temperatures", "1,0"], "temperature greater than zero"),
        (["--seeds", "0,"], "student_seed: a whole number"),
        (["--transfers", "none,nowhere.h5"], "transfer: none, a number of items, or paths"),
        (["--student", "s9"], "a student: s1, s2, s3"),
        (["--box", "20"], "20"),
    ],
)
def test_an_impossible_sweep_is_refused_before_its_first_run(store, wrong, words, capsys):
    before = MlflowClient().search_runs(["0"])
    assert entry(["sweep", *COMMAND, *wrong]) == 2
    assert words in capsys.readouterr().err
    assert len(MlflowClient().search_runs(["0"])) == len(before)


def test_a_transfer_set_with_validation_items_is_refused_before_any_trial(store):
    before = ids(runs("trial"))
    with pytest.raises(InputError, match="transfer"):
        sweep.main([*GIVEN, *SWEEP, "--transfers", f"none,{the_set(store).path}"])
    assert ids(runs("trial")) == before
