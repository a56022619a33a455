"""What the service logs: one line a record, to read by people or as JSON; no volumes, no tokens.

Whatever a client sent is escaped, so that no line can be forged.
"""

import json
import logging
import re
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal, get_args

Form = Literal["text", "json"]
FORMS: tuple[str, ...] = get_args(Form)
request_id: ContextVar[str] = ContextVar("request_id", default="")  # of the request under way

_LINES = 100  # a second, of the server's own
_BARE = re.compile(r"[^\s\"=]+")
_OURS = ("serving", "uvicorn.error")
_CHATTY = ("mlflow", "alembic", "sqlalchemy")  # libraries with handlers of their own


def configure(form: str) -> None:
    """Log to stderr in this form, whichever library speaks."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Json() if form == "json" else _Text())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").addFilter(_Few())  # a line for whatever is no HTTP
    for name in _CHATTY:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


class Budget:
    """So many lines in a second; those beyond are counted and told by the next one."""

    def __init__(self, lines: int) -> None:
        self._lines, self._left, self._second = lines, lines, 0
        self._unlogged = 0

    def take(self) -> int | None:
        """None: no line now; else how many there were without one since the last."""
        if (second := int(time.monotonic())) != self._second:
            self._second, self._left = second, self._lines
        if not self._left:
            self._unlogged += 1
            return None
        self._left -= 1
        unlogged, self._unlogged = self._unlogged, 0
        return unlogged


class _Few(logging.Filter):
    """Whoever sends rubbish fills no disk; metrics count all of it."""

    def __init__(self) -> None:
        super().__init__()
        self._budget = Budget(_LINES)

    def filter(self, record: logging.LogRecord) -> bool:
        return self._budget.take() is not None


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        more = "".join(f" {name}={_quoted(value)}" for name, value in _known(record).items())
        line = f"{record.levelname}: {record.getMessage()}{more}"
        rest = self.formatException(record.exc_info).splitlines() if record.exc_info else []
        # Indented: the text of an exception is no line of its own.
        return "\n    ".join(_escaped(part) for part in (f"{_time(record)} {line}", *rest))


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_known(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)  # ASCII alone: nothing breaks the line


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _known(record: logging.LogRecord) -> dict[str, Any]:
    """Of the request that the record is about."""
    known: dict[str, Any] = getattr(record, "facts", {})
    found = request_id.get()
    return {"request_id": found, **known} if found else known


def _quoted(value: object) -> object:
    """In quotation marks, if it would else look like several."""
    bare = not isinstance(value, str) or _BARE.fullmatch(value)
    return value if bare else json.dumps(value)


def _escaped(text: str) -> str:
    """Without control characters, line ends and what turns the direction of writing."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
