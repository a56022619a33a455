"""Processes that are stopped or killed at chosen moments: what they leave, and that it goes on."""

import signal
import subprocess
import sys
from pathlib import Path

import mlflow
import psutil
import pytest
from mlflow.entities import LoggedModelStatus
from mlflow.tracking import MlflowClient

from entrypoints import distill, status
from tests.processes import SMALL, SMALL_STUDENT, environment, wait_for, working_in
from tomodistill.tracking.registry import STUDENTS

PHASES = ("simulate", "teacher", "soft_labels", "distill")
GOES_ON = "the same command continues with what is missing\n"

# Runs an entry point that sends itself a signal where MODULE.NAME is called for the Nth time.
STRUCK = """
import importlib, os, signal, sys
from entrypoints.__main__ import main

target, nth, number, *arguments = sys.argv[1:]
module, _, name = target.rpartition(".")
module, calls = importlib.import_module(module), []
CTRL_C = str(int(signal.SIGINT))  # of a terminal: it reaches the worker processes too
original = getattr(module, name)

def struck(*args, **kwargs):
    calls.append(1)
    if len(calls) == int(nth):
        strike, target = (os.killpg, os.getpgid(0)) if number == CTRL_C else (os.kill, os.getpid())
        strike(target, int(number))
    return original(*args, **kwargs)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
    setattr(module, name, struck)
    sys.exit(main(arguments))
"""


@pytest.fixture
def scratch(tmp_path):
    """An empty working directory with its own store."""
    with working_in(tmp_path, f"sqlite:///{tmp_path}/mlflow.db"):
        Path("struck.py").write_text(STRUCK)
        yield tmp_path


def strike(number, target, nth=1, *, command=("distill", *SMALL_STUDENT)):
    """Exit code and messages of an entry point that a signal hits at a call of `target`."""
    struck = [sys.executable, "struck.py", target, str(nth), str(int(number)), *command]
    done = subprocess.run(
        struck,
        env=environment(mlflow.get_tracking_uri()),
        capture_output=True,
        text=True,
        timeout=240,
        start_new_session=True,  # a group of its own, which the signal does not leave
    )
    return done.returncode, done.stderr


def states():
    """Phase -> how each of its runs stands, oldest first."""
    found = MlflowClient().search_runs(["0"], order_by=["start_time"])
    return {
        phase: [run.info.status for run in found if run.data.tags["phase"] == phase]
        for phase in PHASES
    }


def models():
    return [model.status for model in MlflowClient().search_logged_models(["0"])]


def marked(capsys):
    """How many runs `status` marks."""
    capsys.readouterr()
    status.main([])
    return capsys.readouterr().out.count("marked KILLED")


def processes_here(folder):
    """Worker processes that outlived their parent."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and "multiprocessing" in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_ctrl_c_while_workers_simulate_is_one_line(scratch):
    many = ("simulate", *SMALL, "--items", "192")  # so late that every worker works
    code, said = strike(
        signal.SIGINT, "tomodistill.subtomograms.dataset._check", nth=150, command=many
    )
    assert code == 128 + signal.SIGINT
    assert "Traceback" not in said
    assert [line for line in said.splitlines() if "SpawnPoolWorker" in line] == []
    assert said.endswith(GOES_ON)
    assert [path.suffix for path in Path("data/sets").iterdir()] == [".unfinished"]
    assert states()["simulate"] == ["KILLED"]
    wait_for(lambda: not processes_here(scratch))


def test_a_distillation_struck_ever_later_goes_on_where_it_was(scratch, capsys):
    """After each strike nothing looks finished that is not, and no run stays RUNNING."""
    code, _ = strike(signal.SIGKILL, "tomodistill.subtomograms.dataset._check", nth=9)
    assert code == -signal.SIGKILL
    assert [path.suffix for path in Path("data/sets").iterdir()] == [".unfinished"]
    assert states()["simulate"] == ["RUNNING"]
    assert marked(capsys) == 1
    assert states()["simulate"] == ["KILLED"]
    wait_for(lambda: not processes_here(scratch))

    code, said = strike(signal.SIGINT, "entrypoints.training.log_metrics")  # after an epoch
    assert (code, said[-len(GOES_ON) :]) == (128 + signal.SIGINT, GOES_ON)
    assert "Traceback" not in said
    assert states()["simulate"] == ["KILLED", "FINISHED"]
    assert states()["teacher"] == ["KILLED"]

    code, _ = strike(signal.SIGKILL, "tomodistill.tracking.flavor._signature")  # files not stored
    assert code == -signal.SIGKILL
    assert (states()["teacher"], models()) == (["KILLED", "RUNNING"], [LoggedModelStatus.PENDING])
    assert marked(capsys) == 1
    assert (states()["teacher"], models()) == (["KILLED", "KILLED"], [LoggedModelStatus.FAILED])

    code, _ = strike(signal.SIGKILL, "entrypoints.distill.register")
    assert code == -signal.SIGKILL
    assert states()["distill"] == ["RUNNING"]
    assert MlflowClient().search_model_versions(f"name = '{STUDENTS}'") == []
    assert marked(capsys) == 1

    distill.main(SMALL_STUDENT)
    assert marked(capsys) == 0
    assert states() == {
        "simulate": ["KILLED", "FINISHED", "FINISHED"],  # the last: held-out classes
        "teacher": ["KILLED", "KILLED", "FINISHED"],
        "soft_labels": ["FINISHED"],
        "distill": ["KILLED", "FINISHED"],
    }
    (version,) = MlflowClient().search_model_versions(f"name = '{STUDENTS}'")
    assert mlflow.get_run(version.run_id).info.status == "FINISHED"
