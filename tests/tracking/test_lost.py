"""Which runs are marked, and which are never touched."""

import platform
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import LoggedModelStatus, Metric
from mlflow.utils.mlflow_tags import MLFLOW_PROJECT_ENTRY_POINT, MLFLOW_SOURCE_NAME

from tomodistill.tracking.audit import who_and_when
from tomodistill.tracking.lost import SILENCE, mark_lost
from tomodistill.tracking.owner import owner_tags
from tomodistill.tracking.runs import phase_run

NAMES, PROJECT = ("teacher", "distill"), Path("/somewhere/tomodistill")
HOUR = int(SILENCE.total_seconds() * 1000)
HERE = owner_tags()
GONE = HERE | {"process.started": "0.01"}  # the same pid, another process
ELSEWHERE = HERE | {"process.host": "elsewhere"}
OPENED = {MLFLOW_SOURCE_NAME: f"file://{PROJECT}", MLFLOW_PROJECT_ENTRY_POINT: "distill"}


def opened(client, tags, *, ago=0):
    """Id of a RUNNING run that was opened `ago` milliseconds before now."""
    return client.create_run("0", start_time=int(time.time() * 1000) - ago, tags=tags).info.run_id


def marked():
    return [lost.run_id for lost in mark_lost(NAMES, PROJECT)]


@pytest.mark.parametrize(
    ("tags", "ago", "why"),
    [
        ({"phase": "teacher", **GONE}, 0, "process {pid} is gone"),
        ({"phase": "teacher", **ELSEWHERE}, HOUR + 1000, "no sign of life since"),
        (OPENED, HOUR + 1000, "no sign of life since"),
        (OPENED | {MLFLOW_SOURCE_NAME: str(PROJECT)}, HOUR + 1000, "no sign of life since"),
        (OPENED | GONE, 0, "process"),  # it began, and ended in a phase before its own
    ],
)
def test_a_lost_run_is_marked_once(client, tags, ago, why):
    run_id = opened(client, tags, ago=ago)
    (lost,) = mark_lost(NAMES, PROJECT)
    assert lost.run_id == run_id
    assert lost.why.startswith(why.format(pid=HERE["process.pid"]))
    run = client.get_run(run_id)
    assert run.info.status == "KILLED"
    assert run.info.end_time == run.info.start_time  # it never gave another sign of life
    assert run.data.tags["lost.why"] == lost.why
    assert run.data.tags["lost.noticed_by"] == f"{who_and_when()[0]}@{platform.node()}"
    noticed = datetime.fromisoformat(run.data.tags["lost.noticed_at"])
    assert timedelta(0) <= datetime.now(UTC) - noticed < SILENCE
    assert marked() == []


@pytest.mark.parametrize(
    ("tags", "ago"),
    [
        ({"phase": "teacher", **HERE}, 100 * HOUR),  # lives, however silent
        ({"phase": "teacher", **ELSEWHERE}, HOUR // 2),
        (OPENED, HOUR // 2),  # its environment may still be made
        ({"phase": "teacher"}, 100 * HOUR),  # another project may have that word
        ({"phase": "another", **GONE}, 100 * HOUR),
        (OPENED | {MLFLOW_SOURCE_NAME: "/somewhere/else"}, 100 * HOUR),
        (OPENED | {MLFLOW_PROJECT_ENTRY_POINT: "another"}, 100 * HOUR),
        ({}, 100 * HOUR),
    ],
)
def test_a_living_run_and_a_run_of_others_are_left_alone(client, tags, ago):
    run_id = opened(client, tags, ago=ago)
    assert marked() == []
    assert client.get_run(run_id).info.status == "RUNNING"
    client.set_terminated(run_id)


def test_a_metric_is_a_sign_of_life(client):
    now = int(time.time() * 1000)
    run_id = opened(client, {"phase": "teacher", **ELSEWHERE}, ago=3 * HOUR)
    client.log_batch(run_id, [Metric("system/cpu", 1.0, now - 2 * HOUR, 0)])
    client.log_batch(run_id, [Metric("system/cpu", 2.0, now - HOUR // 2, 1)])
    assert marked() == []
    silent = opened(client, {"phase": "teacher", **ELSEWHERE}, ago=3 * HOUR)
    client.log_batch(silent, [Metric("system/cpu", 1.0, now - 2 * HOUR, 0)])
    assert marked() == [silent]
    assert client.get_run(silent).info.end_time == now - 2 * HOUR
    client.set_terminated(run_id)


def test_a_run_that_is_open_here_lives_and_one_that_ended_is_not_touched(client):
    with phase_run("teacher", name="t") as run:
        assert marked() == []
    assert marked() == []
    assert client.get_run(run.info.run_id).info.status == "FINISHED"


def test_a_half_stored_model_of_a_lost_run_is_closed_too(client):
    with phase_run("teacher", name="t") as run:
        half = mlflow.initialize_logged_model("half")
        whole = mlflow.create_external_model("whole")
    client.update_run(run.info.run_id, status="RUNNING")
    client.set_tag(run.info.run_id, "process.started", "0.01")
    assert marked() == [run.info.run_id]
    assert client.get_logged_model(half.model_id).status == LoggedModelStatus.FAILED
    assert client.get_logged_model(whole.model_id).status == LoggedModelStatus.READY
