"""The tracking store when it fails: what a user can mend, in one line and soon."""

import logging
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import mlflow
from mlflow.tracking import MlflowClient

from tomodistill.errors import InputError
from tomodistill.subtomograms.files import disk_fault

# MLflow logs a traceback of its own for every error of its database.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)

_SQLITE = "sqlite:///"
_LOCK_SECONDS = 20.0  # as long as MLflow waits itself
_HURRY = {  # instead of minutes: nothing is lost yet, or nothing can be won any more
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
_LIBRARIES = ("mlflow", "requests", "sqlalchemy", "sqlite3", "urllib3")
_LONGEST = 200  # characters of a library's own words
_LOGIN = re.compile(r"://[^/\s]*@")  # a name and a password within an address

# Words of an error -> what was expected, what to do.
_REFUSALS = (
    (
        r"failed with error code 40[13]\b|\b40[13] Client Error|UNAUTHENTICATED"
        r"|CUSTOMER_UNAUTHORIZED|PERMISSION_DENIED",
        "a login that the tracking store takes",
        "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or ask for the permission.",
    ),
)
_FAULTS = (
    (
        r"database is locked",
        "a tracking store that is free to write",
        "Another process holds it: end it, or keep many at once on `mlflow server`.",
    ),
    (
        r"not a database|malformed|out-of-date database schema|no such table",
        "an MLflow database",
        "Name another with MLFLOW_TRACKING_URI, or mend this one: mlflow db upgrade URI.",
    ),
    (
        r"unsupported URI|maintenance mode",
        "a tracking store that MLflow can write",
        "Name one with MLFLOW_TRACKING_URI: sqlite:///FILE or http://SERVER.",
    ),
    (
        r"API request to|\b5\d\d Server Error|Connection|Timeout|\(\w*\.?OperationalError\)"
        r"|unable to open database|disk I/O error",
        "a tracking store that answers",
        "Start it, or name another with MLFLOW_TRACKING_URI; then give the same command again.",
    ),
)


def explain(error: BaseException) -> InputError | None:
    """What a user can mend behind an error, of the disk or of the store; None for a bug."""
    # A refusal is looked for first: it says "Permission denied" as a disk does.
    looks = (_refusal, disk_fault, _store_fault)
    faults = (look(cause) for look in looks for cause in _causes(error))
    return next((fault for fault in faults if fault), None)


def store_address() -> str:
    """Where the tracking store is, without the login that its URI may hold."""
    return _LOGIN.sub("://", str(mlflow.get_tracking_uri()))


def check_store() -> None:
    """Raises InputError within seconds if the store cannot be used; MLflow tries for minutes."""
    uri = str(mlflow.get_tracking_uri())
    if uri.startswith(_SQLITE):
        _check_sqlite(Path(uri.removeprefix(_SQLITE).partition("?")[0]))
    elif uri.startswith(("http://", "https://")):
        with hurried():
            MlflowClient().search_experiments(max_results=1)


@contextmanager
def explained() -> Iterator[None]:
    """What a user can mend of the disk or of the store leaves the block as InputError."""
    try:
        yield
    except Exception as error:
        if fault := explain(error):
            raise fault from error
        raise


@contextmanager
def hurried() -> Iterator[None]:
    """Within the block a server that does not answer is given up after seconds."""
    before = {name: os.environ.get(name) for name in _HURRY}
    os.environ.update(_HURRY)
    try:
        with _quiet("urllib3.connectionpool"):
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _check_sqlite(path: Path) -> None:
    if not path.parent.is_dir():  # MLflow would make it, and an empty store where a disk is missing
        raise InputError(
            expected=f"the folder of the tracking store {path}",
            found="none",
            todo="Make it, mount its disk, or name another store with MLFLOW_TRACKING_URI.",
        )
    if not path.exists():
        return  # MLflow makes it
    address = f"file:{quote(str(path))}?mode=rw"
    with closing(sqlite3.connect(address, uri=True, timeout=_LOCK_SECONDS)) as database:
        database.execute("BEGIN IMMEDIATE")  # what a write begins with
        database.rollback()


def _refusal(error: BaseException) -> InputError | None:
    return _told(error, _REFUSALS)


def _store_fault(error: BaseException) -> InputError | None:
    return _told(error, _FAULTS)


def _told(error: BaseException, rows: Sequence[tuple[str, str, str]]) -> InputError | None:
    """What the first of the rows says whose words the error has."""
    text = str(error)
    if type(error).__module__.split(".")[0] not in _LIBRARIES:
        return None
    for words, expected, todo in rows:
        if re.search(words, text) or re.search(words, type(error).__name__):
            return InputError(expected=expected, found=_found(text), todo=todo)
    return None


def _found(text: str) -> str:
    """The core of a library's message, and the store's address; neither with a login."""
    reason = re.search(r"\[Errno -?\d+\] ([^'\")]+)|\(\w+\.\w*Error\) ([^\n]+)", text)
    core = next(filter(None, reason.groups())) if reason else text.partition("\n")[0]
    return f"{_LOGIN.sub('://', core)[:_LONGEST]} ({store_address()})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and, one after the other, what it arose from."""
    current: BaseException | None = error
    while current is not None:
        yield current
        hidden = current.__suppress_context__
        current = current.__cause__ or (None if hidden else current.__context__)


@contextmanager
def _quiet(logger: str) -> Iterator[None]:
    """Its warnings would stand before the one line that says the same."""
    log = logging.getLogger(logger)
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)
