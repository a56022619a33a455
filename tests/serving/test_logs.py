import json
import logging
import sys

import pytest

from serving import logs
from serving.logs import Budget

HOSTILE = "a\nINFO: forged\r\x1b[2J\u202e\u2028b"


def formatted(form: str, capsys, **extra: object) -> str:
    """What one record becomes on stderr."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logs.configure(form)
        try:
            raise ValueError(HOSTILE)
        except ValueError:
            logging.getLogger("mlflow.x").warning(HOSTILE, exc_info=sys.exc_info(), extra=extra)
    finally:
        logging.captureWarnings(False)
        root.handlers[:], root.level = handlers, level
    return capsys.readouterr().err


def test_json_is_one_object_a_line(capsys):
    line = formatted("json", capsys, facts={"path": HOSTILE, "status": 404})
    assert line.count("\n") == 1
    assert line.isascii()
    record = json.loads(line)
    assert record["message"] == record["path"] == HOSTILE
    assert (record["status"], record["level"], record["logger"]) == (404, "WARNING", "mlflow.x")
    assert f"ValueError: {HOSTILE}" in record["exception"]


def test_text_cannot_be_forged(capsys):
    first, *rest = formatted("text", capsys, facts={"path": "/a status=200", "status": 404})[
        :-1
    ].split("\n")
    assert "WARNING: a\\nINFO: forged\\r\\x1b[2J\\u202e\\u2028b" in first
    assert first.endswith(' path="/a status=200" status=404')
    assert rest
    assert all(line.startswith("    ") and line.isprintable() for line in rest)


def test_lines_beyond_the_budget_are_counted(monkeypatch):
    now = 100.2
    monkeypatch.setattr(logs.time, "monotonic", lambda: now)
    budget = Budget(2)
    assert [budget.take() for _ in range(5)] == [0, 0, None, None, None]
    now = 101.0
    assert [budget.take() for _ in range(2)] == [3, 0]


@pytest.fixture(autouse=True)
def _levels():
    """As they were."""
    loggers = [logging.getLogger(name) for name in ("serving", "uvicorn.error")]
    before = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


def test_the_servers_own_lines_have_a_budget():
    few, record = logs._Few(), logging.makeLogRecord({"msg": "Invalid HTTP request received."})
    assert 100 <= sum(few.filter(record) for _ in range(1000)) <= 200  # two seconds may be touched
