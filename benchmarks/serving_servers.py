"""The servers that are compared, each a group of processes that sleeps while it is not asked."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from serving_processes import Server
from serving_protocols import (
    DISCARDING,
    LITSERVE,
    MLFLOW_JSON,
    MLFLOW_PARQUET,
    OURS,
    OURS_OIP,
    Protocol,
)

from tests.processes import entry_point, environment, free_port
from tomodistill.tracking.registry import PRODUCTION, STUDENTS

HERE = Path(__file__).parent
URI = f"models:/{STUDENTS}@{PRODUCTION}"
CLASSIFY, OIP, DISCARD = "ours, /classify", "ours, /v2", "discarding"
JSON, PARQUET, LITSERVES = "MLflow, JSON", "MLflow, Parquet", "LitServe"
_TIMEOUT = "600"  # seconds that MLflow gives a request; its default of 60 ends the largest ones


class Asked(NamedTuple):
    """A server by one of its protocols."""

    name: str
    protocol: Protocol
    server: Server


def random_student(folder: Path, name: str, box: int) -> Path:
    """A version with random weights, on which cost does not depend."""
    from inference_cases import random_version  # loads Keras, which nothing else here needs

    return random_version(folder / name, name, box=box, classes=23)


def publish(version: Path, folder: Path) -> str:
    """Address of a new store in the folder, that has the version in production."""
    store = f"sqlite:///{folder}/mlflow.db"
    script = [sys.executable, HERE / "serving_store.py", version.resolve()]
    subprocess.run(script, cwd=folder, env=environment(store), check=True, capture_output=True)
    return store


def ours(store: str, folder: Path, *flags: str) -> Server:
    """Our service, as a user starts it."""
    port = free_port()
    cache = ("--cache", f"{folder / 'cache'}")
    command = entry_point("serve", "--port", f"{port}", *cache, *flags)
    return Server(command, port=port, health="/health/ready", folder=folder / "ours", store=store)


def discarding(folder: Path) -> Server:
    """HTTP as in our service, and nothing behind it."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "serving_discard:app", "--app-dir", f"{HERE}"]
    command += ["--port", f"{port}", "--no-access-log", "--lifespan", "off"]
    return Server(command, port=port, health="/", folder=folder / "discarding")


def mlflow(store: str, folder: Path) -> Server:
    """`mlflow models serve`, as its manual starts it."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", URI]
    command += ["--env-manager", "local", "--port", f"{port}", "--timeout", _TIMEOUT]
    return Server(command, port=port, health="/ping", folder=folder / "mlflow", store=store)


def litserve(python: str, version: Path, folder: Path, settings: str) -> Server:
    """LitServe on the same version; `settings`: requests/seconds/workers."""
    port = free_port()
    command = [python, f"{HERE / 'serving_litserve.py'}", f"{version.resolve()}", f"{port}"]
    command += settings.split("/")
    log = folder / f"litserve-{port}"
    return Server(command, port=port, health="/health", folder=log)


@contextmanager
def running(
    version: Path, folder: Path, *, with_mlflow: bool, litserves: dict[str, str]
) -> Iterator[list[Asked]]:
    """All of them, asleep: ours first, and last the one that discards.

    `litserves`: settings -> the Python that has LitServe.
    """
    store = publish(version, folder)
    service = ours(store, folder)
    asked = [Asked(CLASSIFY, OURS, service), Asked(OIP, OURS_OIP, service)]
    for settings, python in litserves.items():
        server = litserve(python, version, folder, settings)
        asked.append(Asked(f"{LITSERVES} {settings}", LITSERVE, server))
    if with_mlflow:
        server = mlflow(store, folder)
        asked += [Asked(PARQUET, MLFLOW_PARQUET, server), Asked(JSON, MLFLOW_JSON, server)]
    asked.append(Asked(DISCARD, DISCARDING, discarding(folder)))
    servers = list(dict.fromkeys(of.server for of in asked))
    with stopped_after(servers):
        for server in servers:
            server.start()
            server.signal(signal.SIGSTOP)
        yield asked


@contextmanager
def stopped_after(servers: Sequence[Server]) -> Iterator[None]:
    """However the block ends, and whether they were started."""
    try:
        yield
    finally:
        for server in servers:
            server.end(signal.SIGKILL)


@contextmanager
def awake(server: Server) -> Iterator[None]:
    """It alone is: several servers poll even when nobody asks."""
    server.signal(signal.SIGCONT)
    try:
        yield
    finally:
        server.signal(signal.SIGSTOP)


class Bare:
    """A classifier, or its engine, in a loop; asleep at first."""

    def __init__(self, version: Path, what: str) -> None:
        command = [sys.executable, HERE / "serving_bare.py", version, what]
        self._process = subprocess.Popen(
            command,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._told()
        self._signal(signal.SIGSTOP)

    @contextmanager
    def counted(self) -> Iterator[list[float]]:
        """At the end of the block, volumes a second while it lasted."""
        self._signal(signal.SIGCONT)
        rate: list[float] = []
        try:
            volumes, start = self._told(after=time.monotonic())
            yield rate
            done, end = self._told(after=start)
            rate.append((done - volumes) / (end - start))
        finally:
            self._signal(signal.SIGSTOP)

    def end(self) -> None:
        """No more."""
        self._signal(signal.SIGKILL)
        self._process.communicate()

    def _told(self, after: float = 0.0) -> tuple[int, float]:
        """Volumes that were done, and when: later than `after`, seconds of `time.monotonic`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        volumes, at = 0, 0.0
        while at <= after:
            print(file=self._process.stdin, flush=True)
            told = self._process.stdout.readline().split()
            volumes, at = int(told[0]), float(told[1])
        return volumes, at

    def _signal(self, number: int) -> None:
        os.killpg(self._process.pid, number)
