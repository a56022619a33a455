"""How far a job is, and what it took."""

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from tomodistill.bulk import progress as clock
from tomodistill.bulk import spent
from tomodistill.bulk.backends import Outcome
from tomodistill.bulk.progress import Progress
from tomodistill.bulk.spent import Spent, note_time, time_spent


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that is set by hand."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(clock.time, "monotonic", lambda: now.seconds)
    return now


def test_a_log_gets_a_line_now_and_then(now: SimpleNamespace) -> None:
    stream = io.StringIO()
    progress = Progress(1000, 200, stream)
    for now.seconds in (10.0, 20.0, 30.0, 40.0):
        progress.count(100, Outcome(0, seconds={"read": 2.0, "classify": 1.0}))
    progress.close()
    told = "classified 600 of 1,000 particles (60%), 10 a second, 0:00:40 left\n"
    assert stream.getvalue() == told  # after more than half a minute
    assert (progress.counted, progress.rate) == (400, 10.0)
    assert progress.by_step == {"read": 8.0, "classify": 4.0}


def test_runs_side_by_side_took_their_time_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = SimpleNamespace(folder=tmp_path)
    for ended, elapsed in ((1100.0, 100.0), (1150.0, 100.0), (1040.0, 10.0), (2000.0, 50.0)):
        monkeypatch.setattr(spent.time, "time", lambda ended=ended: ended)
        note_time(job, SimpleNamespace(counted=30, elapsed=elapsed, by_step={"read": 2.0}))
    note_time(job, SimpleNamespace(counted=0, elapsed=1e9, by_step={}))  # found all done
    assert time_spent(job) == Spent(particles=120, wall=200.0, by_step={"read": 8.0})
