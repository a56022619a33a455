"""How an entry point ends: done, refused, at fault, stopped."""

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from entrypoints import NAMES, serve, status
from entrypoints.__main__ import main
from tests.processes import environment, free_port, working_in
from tomodistill.tracking.runs import phase_run, take_over_run

SET_BYTES = 12 * 4 * 24**3 + 2**20  # that a set of 12 items of box 24 asks for


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("main")
    with working_in(folder, f"sqlite:///{folder}/mlflow.db"):
        yield MlflowClient()


@pytest.fixture
def works(monkeypatch):
    """Puts a function in the place of an entry point's work."""
    return lambda work: monkeypatch.setattr(status, "main", lambda arguments: work())


def stopping(number, *, opened=None):
    """Work that opens a run and is stopped in it; `opened` collects the run's id."""

    def work():
        with phase_run("status", name="s") as run:
            opened.append(run.info.run_id)
            os.kill(os.getpid(), number)
            time.sleep(10)

    return work


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_closes_the_run_as_killed(store, works, capsys, number):
    before, opened = signal.getsignal(number), []
    works(stopping(number, opened=opened))
    assert main(["status"]) == 128 + number
    words = f"stopped by {number.name}: the same command continues with what is missing\n"
    assert capsys.readouterr().err == words
    assert store.get_run(opened[0]).info.status == "KILLED"
    assert signal.getsignal(number) is before


def test_the_second_signal_of_one_stop_disturbs_nothing(store, works):
    closed = []

    def work():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)  # as `mlflow run` does after Ctrl-C
            closed.append(True)

    works(work)
    assert main(["status"]) == 128 + signal.SIGINT
    assert closed == [True]


def test_a_signal_that_the_caller_ignores_stays_ignored(store, works):
    works(lambda: os.kill(os.getpid(), signal.SIGHUP))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    try:
        assert main(["status"]) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_stop_before_its_phase_closes_the_run_of_mlflow_run(store, works, monkeypatch):
    opened = store.create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", opened)

    def work():
        take_over_run()
        stopping(signal.SIGTERM, opened=[])()

    works(work)
    assert main(["status"]) == 128 + signal.SIGTERM
    assert store.get_run(opened).info.status == "KILLED"


def failing(error):
    def work():
        raise error

    return work


def test_what_a_user_can_mend_is_one_line(store, works, capsys):
    works(failing(OSError(errno.ENOSPC, "No space left on device", "/x/y")))
    assert main(["status"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: expected room to write; found a full disk or quota: /x/y.")
    assert said.count("\n") == 1


def test_a_bug_keeps_its_traceback(store, works):
    works(failing(KeyError("bug")))
    with pytest.raises(KeyError, match="bug"):
        main(["status"])


@pytest.mark.parametrize("name", [name for name in NAMES if name != "serve"])
def test_a_store_that_is_gone_is_told_before_any_work(tmp_path, name, capsys):
    with working_in(tmp_path, f"sqlite:///{tmp_path}/gone/mlflow.db"):
        assert main([name]) == 2
    assert "error: expected the folder of the tracking store" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_help_gives_units_and_choices(capsys):
    with pytest.raises(SystemExit):
        main(["simulate", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "µm at zero tilt, underfocus positive" in said
    assert '"tilt_series" or "convolution"; default: auto' in said
    assert "share of boxes with a gold bead" in said


def test_the_service_waits_for_a_store_and_help_needs_none(tmp_path, monkeypatch, capsys):
    began = []
    monkeypatch.setattr(serve, "serve", began.append)
    with working_in(tmp_path, f"http://127.0.0.1:{free_port()}"):
        assert main(["serve", "--port", "0"]) == 0
        with pytest.raises(SystemExit, match="0"):
            main(["distill", "--help"])
    assert len(began) == 1
    assert "--temperature" in capsys.readouterr().out


def test_a_full_disk_in_a_real_process_and_then_room(store, tmp_path):
    """What was finished is found again; what was not leaves nothing behind."""
    code = (
        "import resource, sys; from entrypoints.__main__ import main;"
        "limits = int(sys.argv[1]), resource.getrlimit(resource.RLIMIT_FSIZE)[1];"
        "resource.setrlimit(resource.RLIMIT_FSIZE, limits);"
        "sys.exit(main(['simulate', '--scale', 'smoke', '--items', '12', '--box', '24']))"
    )
    command = [sys.executable, "-c", code]
    uri = mlflow.get_tracking_uri()
    database = Path(uri.removeprefix("sqlite:///")).stat().st_size
    scarce = database + 300_000  # bytes: for the lines of the run, not for the set
    assert scarce < SET_BYTES
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    full, room = (
        subprocess.run(
            [*command, size],
            cwd=tmp_path,
            env=environment(uri),
            capture_output=True,
            text=True,
            timeout=120,
        )
        for size in (str(scarce), str(most))
    )
    assert full.returncode == 2, full.stderr
    assert full.stderr.splitlines()[-1].startswith("error: expected room to write; found a full")
    assert "Traceback" not in full.stderr
    assert room.returncode == 0, room.stderr
    made = [path.suffix for path in (tmp_path / "data" / "sets").iterdir()]
    assert made == [".h5"]
    runs = store.search_runs(["0"], "tags.phase = 'simulate'", order_by=["start_time"])
    assert [run.info.status for run in runs] == ["FAILED", "FINISHED"]
