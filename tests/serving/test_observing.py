import re
from collections.abc import Callable

import pytest

from serving import observing
from serving.app import create_app
from serving.config import ServiceConfig
from tests.serving.bodies import npy, volumes
from tests.serving.conftest import TestClient

GOOD_ID = "run-7:a/b.c_d@e+f="


@pytest.fixture
def lines(caplog) -> Callable[[], list[dict]]:
    """What was logged of requests since the last call."""
    caplog.set_level("INFO", logger="serving")

    def taken() -> list[dict]:
        found = [record.facts for record in caplog.records if hasattr(record, "facts")]
        caplog.clear()
        return found

    return taken


@pytest.mark.parametrize("path", ["/", "/nothing"])
def test_a_sane_id_comes_back_with_every_answer(client, path):
    answer = client.get(path, headers={"X-Request-ID": GOOD_ID})
    assert answer.headers.get_list("x-request-id") == [GOOD_ID]


@pytest.mark.parametrize("wrong", ["", "a b", "a\tb", 'a"', "x" * 129, "ä", "{}", "a,b"])
def test_others_get_one_of_ours(client, wrong):
    headers = {"X-Request-ID": wrong.encode("latin-1")}
    made = {client.get("/", headers=headers).headers["x-request-id"] for _ in range(3)}
    assert len(made) == 3
    assert all(re.fullmatch("[0-9a-f]{16}", one) for one in made)


def test_text_logs_errors_and_what_was_slow(client, lines, monkeypatch):
    body = npy(volumes(2))
    for path in ("/", "/health/live"):
        assert client.get(path).status_code == 200
    assert client.post("/classify", content=body).status_code == 200
    assert lines() == []
    client.post("/classify", content=b"hello", headers={"Authorization": "Bearer secret"})
    (line,) = lines()
    assert 0 < line.pop("seconds") < 10
    assert line == {
        "method": "POST",
        "path": "/classify",
        "route": "/classify",
        "status": 400,
        "client": "testclient",
        "version": "1",
        "bytes": 5,
    }
    client.get("/nothing?token=secret")
    assert "secret" not in f"{lines()}"
    monkeypatch.setattr(observing, "_SLOW", 0.0)
    client.post("/classify", content=body)
    (line,) = lines()
    assert (line["status"], line["volumes"], line["bytes"]) == (200, 2, len(body))


def test_json_logs_every_request_but_probes(registry, lines):
    config = ServiceConfig(log="json")
    client = TestClient(create_app(config, resolve=registry.resolve, download=registry.download))
    for path in ("/", "/health/live", "/metrics", "/health/ready"):
        client.get(path)
    assert [(line["route"], line["status"]) for line in lines()] == [
        ("/", 200),
        ("/health/ready", 503),
    ]


def test_a_flood_of_refusals_is_told_not_listed(client, lines, monkeypatch):
    monkeypatch.setattr(observing, "_LINES", 3)
    for _ in range(50):
        client.get("/" + "x" * 999)
    found = lines()
    assert 3 <= len(found) < 30
    assert all(len(line["path"]) == 200 for line in found)
