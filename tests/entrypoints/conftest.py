"""The loop at `smoke` scale, run once for all modules and worker processes: each has a copy."""

import fcntl
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from entrypoints import distill, grid, measure, preview, simulate, teacher
from tests.processes import working_in
from tomodistill.evaluation.speed import paired_ratio

PHASES = ("simulate", "teacher", "soft_labels", "distill")
SMOKE = ["--scale", "smoke"]


@pytest.fixture(scope="session", autouse=True)
def _few():
    """Little of what makes numbers steadier and large sets faster; other processes have it all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "paired_ratio", _quick_ratio)
        patch.setattr(preview, "_PREVIEWED", 6)  # items
        for module in (simulate, grid):
            patch.setattr(module, "cores", lambda: 1)  # worker processes take seconds to start
        yield


def _quick_ratio(*, teacher, student, volumes):
    return paired_ratio(teacher=teacher, student=student, volumes=volumes[:1], rounds=2)


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """Working directories with a store: `taught` has a teacher, `trained` three students too."""
    parts = tmp_path_factory.getbasetemp()
    folder = (parts.parent if "PYTEST_XDIST_WORKER" in os.environ else parts) / "smoke"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            _make(folder)
            (folder / "done").touch()
    return folder


def _make(folder: Path) -> None:
    for name in ("taught", "trained"):  # again, if another process failed at it
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "taught").mkdir()
    with working_in(folder / "taught", store_in(folder / "taught")):
        teacher.main(SMOKE)
    copy_of(folder / "taught", folder / "trained")
    with working_in(folder / "trained", store_in(folder / "trained")):
        distill.main(SMOKE)
        distill.main([*SMOKE, "--student_seed", "1"])
        distill.main([*SMOKE, "--labels", "hard"])


@pytest.fixture(scope="module")
def taught(made, tmp_path_factory) -> Path:
    """A working directory of this module's own, whose store has the set and the teacher."""
    return copy_of(made / "taught", tmp_path_factory.mktemp("taught") / "here")


@pytest.fixture(scope="module")
def loop(made, tmp_path_factory):
    """In a working directory of this module's own, where three students were trained.

    Yields how many runs of each phase that took.
    """
    folder = copy_of(made / "trained", tmp_path_factory.mktemp("loop") / "here")
    with working_in(folder, store_in(folder)):
        yield {phase: len(runs(phase)) for phase in PHASES}


def copy_of(folder: Path, copy: Path) -> Path:
    """The copy, with a store whose artifacts are its own."""
    shutil.copytree(folder, copy)
    (copy / "mlflow.db").unlink()
    with (
        closing(sqlite3.connect(folder / "mlflow.db")) as there,
        closing(sqlite3.connect(copy / "mlflow.db")) as here,
    ):
        here.executescript("\n".join(there.iterdump()).replace(f"{folder}/", f"{copy}/"))
    return copy


def runs(phase):
    """Those of a phase that are finished, the oldest first."""
    finished = f"tags.phase = '{phase}' AND attributes.status = 'FINISHED'"
    return MlflowClient().search_runs(["0"], finished, order_by=["start_time"])


def store_in(folder: Path) -> str:
    """The tracking URI of a working directory."""
    return f"sqlite:///{folder}/mlflow.db"
