"""A store that is gone, locked or none at all is told in one line, within seconds."""

import os
import socket
import sqlite3
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from requests import HTTPError

from tests.processes import free_port
from tomodistill.errors import InputError
from tomodistill.tracking import store
from tomodistill.tracking.store import check_store, explain, hurried, store_address


@pytest.fixture
def using(tmp_path):
    """Sets the tracking URI for one test."""
    uri = mlflow.get_tracking_uri()
    yield mlflow.set_tracking_uri
    mlflow.set_tracking_uri(uri)


def fault_of(check):
    with pytest.raises(Exception) as caught:  # noqa: PT011
        check()
    fault = explain(caught.value) or caught.value
    assert isinstance(fault, InputError)
    assert "\n" not in str(fault)
    return str(fault)


def test_a_server_that_does_not_answer(using):
    using(f"http://user:secret@127.0.0.1:{free_port()}")
    began = time.monotonic()
    said = fault_of(check_store)
    assert time.monotonic() - began < 15
    assert "expected a tracking store that answers; found Connection refused (http://127" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("code", "body"), [(401, "You are not authenticated."), (403, "Permission denied")]
)
def test_a_server_that_refuses_the_login(using, code, body):
    with answering(code, body) as port:
        using(f"http://user:secret@127.0.0.1:{port}")
        said = fault_of(check_store)
    assert "expected a login that the tracking store takes" in said
    assert body in said
    assert said.endswith("MLFLOW_TRACKING_PASSWORD, or ask for the permission.")
    assert "secret" not in said


@contextmanager
def answering(code, body):
    """The port of a server that says the same to everything."""

    class Refusal(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(code)
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusal) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("http://user:secret@server:5000/x", "http://server:5000/x"),
        ("postgresql://user:sec@ret@server/store", "postgresql://server/store"),
        ("sqlite:////home/a@b/mlflow.db", "sqlite:////home/a@b/mlflow.db"),
    ],
)
def test_an_address_has_no_login(using, uri, address):
    using(uri)
    assert store_address() == address


def test_a_login_within_a_message_is_not_told():
    said = str(explain(MlflowException("API request to http://user:secret@server/api failed")))
    assert "found API request to http://server/api failed (" in said


def test_a_server_that_is_silent(using, monkeypatch):
    monkeypatch.setitem(store._HURRY, "MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setitem(store._HURRY, "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        using(f"http://127.0.0.1:{deaf.getsockname()[1]}")
        assert "a tracking store that answers" in fault_of(check_store)


def test_hurry_ends_with_its_block(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    with hurried():
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "2"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "5"
    assert "MLFLOW_HTTP_REQUEST_TIMEOUT" not in os.environ


def test_a_folder_that_is_missing_is_not_made(using, tmp_path):
    using(f"sqlite:///{tmp_path}/gone/mlflow.db")
    assert "the folder of the tracking store" in fault_of(check_store)
    assert not (tmp_path / "gone").exists()


def test_a_database_that_is_not_there_yet_is_no_fault(using, tmp_path):
    using(f"sqlite:///{tmp_path}/mlflow.db")
    check_store()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database(using, tmp_path):
    (tmp_path / "mlflow.db").write_text("certainly no database, however long one looks at it")
    using(f"sqlite:///{tmp_path}/mlflow.db")
    assert "expected an MLflow database; found file is not a database" in fault_of(check_store)


def test_a_database_that_another_process_holds(using, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_LOCK_SECONDS", 0.1)
    path = tmp_path / "mlflow.db"
    using(f"sqlite:///{path}")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("CREATE TABLE t (x)")
    check_store()
    holder.execute("BEGIN IMMEDIATE")
    assert "free to write; found database is locked" in fault_of(check_store)
    holder.close()


@pytest.mark.parametrize("uri", ["nonsense://x", "file:./mlruns"])
def test_an_address_that_mlflow_cannot_use(using, uri):
    using(uri)
    assert "a tracking store that MLflow can write" in fault_of(MlflowClient)


def raised_from(outer, inner):
    """`outer`, as raised while `inner` was handled."""
    try:
        try:
            raise inner
        except Exception:
            raise outer  # noqa: B904
    except Exception as error:
        return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MlflowException("(sqlite3.OperationalError) database is locked\n[SQL: x]"), "is free to"),
        (MlflowException("(sqlite3.OperationalError) database or disk is full"), "room to write"),
        (MlflowException("(sqlite3.OperationalError) attempt to write a readonly database"), "may"),
        (MlflowException("(psycopg2.OperationalError) connection to server failed"), "answers"),
        (MlflowException("API request to http://x failed with exception y"), "answers"),
        (HTTPError("503 Server Error: Service Unavailable for url: http://x"), "answers"),
        (HTTPError("403 Client Error: Forbidden for url: http://x"), "MLFLOW_TRACKING_USERNAME"),
        (MlflowException("PERMISSION_DENIED: Permission denied"), "MLFLOW_TRACKING_PASSWORD"),
        (raised_from(RuntimeError("close"), OSError(28, "No space left on device")), "room"),
        (raised_from(AttributeError("x"), MlflowException("API request to http://x")), "answers"),
    ],
)
def test_what_a_user_can_mend(error, words):
    message = str(explain(error))
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "error",
    [
        MlflowException("Run 'x' not found"),
        ValueError("API request to"),  # of another library
        raised_from(KeyError("bug"), FileNotFoundError(2, "no such file")),
    ],
)
def test_bugs_are_not_explained_away(error):
    assert explain(error) is None
