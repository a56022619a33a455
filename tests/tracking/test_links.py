import json
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import mlflow
import pytest

from tomodistill.evaluation.comparison import Result
from tomodistill.tracking.links import compare_url, run_url, students_url, ui_hint


def run(run_id, experiment_id="0"):
    return SimpleNamespace(info=SimpleNamespace(run_id=run_id, experiment_id=experiment_id))


def result(run_id, experiment_id="0"):
    return Result("s3", "student", "soft", {}, run_id=run_id, experiment_id=experiment_id)


@pytest.fixture
def at_server():
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri("http://me:secret@127.0.0.1:5123/")  # the login is not shown
    yield "http://127.0.0.1:5123"
    mlflow.set_tracking_uri(before)


def test_a_server_is_its_own_ui(at_server):
    assert run_url(run("abc", "7")).startswith(f"{at_server}/#/experiments/7/runs/abc?")
    assert ui_hint() == ""
    assert students_url("7").startswith(f"{at_server}/#/experiments/7/runs?viewStateShareKey=")


def test_compared_runs_are_named_in_the_address(at_server):
    address = urlsplit(compare_url([result("a"), result("b", "1")]))
    query = parse_qs(address.fragment.partition("?")[2])
    assert json.loads(query["runs"][0]) == ["a", "b"]
    assert json.loads(query["experiments"][0]) == ["0", "1"]
    assert query["workflowType"] == ["machine_learning"]


def test_a_database_is_shown_by_a_local_ui(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    try:
        assert run_url(run("abc")).startswith("http://127.0.0.1:5000/#/")
        assert "mlflow ui" in ui_hint()
    finally:
        mlflow.set_tracking_uri(before)
