"""The loop at `smoke` scale, run once for the modules that look at what came of it."""

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from entrypoints import distill
from tests.processes import working_in

PHASES = ("simulate", "teacher", "soft_labels", "distill")
SMOKE = ["--scale", "smoke"]


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> tuple[Path, dict[str, int]]:
    """A working directory with its own store, and how many runs three students took."""
    folder = tmp_path_factory.mktemp("loop")
    with working_in(folder, _store(folder)):
        distill.main(SMOKE)
        distill.main([*SMOKE, "--student_seed", "1"])
        distill.main([*SMOKE, "--labels", "hard"])
        return folder, {phase: len(runs(phase)) for phase in PHASES}


@pytest.fixture(scope="module")
def loop(trained):
    """In that working directory; yields how many runs there were after the training."""
    folder, counts = trained
    with working_in(folder, _store(folder)):
        yield counts


def runs(phase):
    """Those of a phase that are finished, the oldest first."""
    finished = f"tags.phase = '{phase}' AND attributes.status = 'FINISHED'"
    return MlflowClient().search_runs(["0"], finished, order_by=["start_time"])


def _store(folder: Path) -> str:
    return f"sqlite:///{folder}/mlflow.db"
