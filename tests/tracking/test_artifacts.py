import mlflow
import pytest
from mlflow.exceptions import MlflowException

from tomodistill.errors import InputError
from tomodistill.tracking.artifacts import fetch


def test_what_is_there_is_fetched(client, tmp_path):
    run = client.create_run("0")
    client.log_text(run.info.run_id, "hello", "notes/a.txt")
    assert fetch(f"{run.info.artifact_uri}/notes/a.txt", tmp_path).read_text() == "hello"
    client.set_terminated(run.info.run_id)


def test_what_the_store_has_lost_is_said(client, tmp_path):
    run = client.create_run("0")
    with pytest.raises(InputError, match="none in the store"):
        fetch(f"{run.info.artifact_uri}/a.txt", tmp_path)
    client.set_terminated(run.info.run_id)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("404 Client Error: Not Found for url", InputError),  # as a server's proxy says it
        ("503 Server Error: Service Unavailable", MlflowException),
        ("API request to http://127.0.0.1 failed", MlflowException),
    ],
)
def test_a_store_that_does_not_answer_has_lost_nothing(tmp_path, monkeypatch, text, expected):
    def fail(**_):
        raise MlflowException(text)

    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", fail)
    with pytest.raises(expected):
        fetch("models:/m-1", tmp_path)
