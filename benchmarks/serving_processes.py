"""The service and its registry as processes that are killed, stopped and started as one likes."""

import os
import random
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch
from urllib.request import urlopen

import mlflow

from tests.processes import entry_point, environment

PATIENCE = 120.0  # seconds, on a machine that others use too
_PAUSE = 0.05  # seconds between two looks
_TOLD = 1000  # last characters of a log
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def command() -> str:
    """What was typed, without the folders of this machine."""
    words = (Path(word).name if word.startswith("/") else word for word in sys.argv)
    return shlex.join(["python", *words])


class Facts(NamedTuple):
    """What a process holds."""

    mib: float  # of memory
    peak: float  # likewise, since `forget_peak`
    threads: int
    files: int  # and sockets, that are open


class Server:
    """A server of ours on loopback, always at the same port; what it says is appended to a log."""

    def __init__(
        self, command: Sequence[str], *, port: int, health: str, folder: Path, store: str = ""
    ) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.port, self.folder = port, folder
        self._command, self._health = command, health
        self._environment = environment(store or None, **_QUIET)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """If it does not run; it answers at the end."""
        if self._process is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    self._command,
                    env=self._environment,
                    cwd=self.folder,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        wait_until(self._answers, f"{self.url} to answer")

    def end(self, number: int) -> int:
        """By a signal; its exit status, 0 if it did not run."""
        if self._process is None:
            return 0
        self.signal(number)
        process, self._process = self._process, None
        return process.wait(PATIENCE)

    def signal(self, number: int) -> None:
        """To it and to its children, if it runs."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def facts(self) -> Facts:
        """Of this moment."""
        assert self._process
        of = Path("/proc", f"{self._process.pid}")
        told = dict(line.split(":", 1) for line in (of / "status").read_text().splitlines())
        mib, peak = (int(told[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
        return Facts(mib, peak, int(told["Threads"]), len(os.listdir(of / "fd")))

    def forget_peak(self) -> None:
        """What it holds now is its peak."""
        assert self._process
        Path("/proc", f"{self._process.pid}", "clear_refs").write_text("5")

    def _answers(self) -> bool:
        assert self._process
        if self._process.poll() is not None:
            last = (self.folder / "log").read_text()[-_TOLD:]
            raise RuntimeError(f"{self._command} ended with {self._process.returncode}: {last}")
        with urlopen(f"{self.url}{self._health}", timeout=PATIENCE) as answer:
            return bool(answer.status == 200)


def registry_server(folder: Path) -> Server:
    """MLflow on SQLite; artifacts through it, so that they are fetched over HTTP."""
    port = lasting_port()
    stores = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--serve-artifacts"]
    stores += ["--artifacts-destination", f"{folder}/artifacts"]
    address = ["--host", "127.0.0.1", "--port", f"{port}", "--workers", "1"]
    command = [sys.executable, "-m", "mlflow", "server", *address, *stores]
    return Server(command, port=port, health="/health", folder=folder)


def service_server(folder: Path, store: str, *flags: str, command: Sequence[str] = ()) -> Server:
    """Our service, or `command` in its place, that looks for another version all the time."""
    port = lasting_port()
    flags = ("--port", f"{port}", "--poll_seconds", "0.2", *flags)
    started = [*(command or entry_point("serve")), *flags]
    return Server(started, port=port, health="/health/ready", folder=folder, store=store)


def lasting_port() -> int:
    """A free one, of those that no system gives to clients.

    While a server is down, a client that asks for it again and again would else be given its port.
    """
    for port in random.sample(range(20_000, 30_000), 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError("no free port from 20000 to 30000")


@contextmanager
def client_of(registry: Server) -> Iterator[None]:
    """It runs for the block, in which this process reads and writes there."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(registry.url)
    try:
        registry.start()
        with patch.dict(os.environ, _QUIET):
            yield
    finally:
        mlflow.set_tracking_uri(before)
        registry.end(signal.SIGKILL)  # it may be stopped, and would not hear another


def wait_until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> float:
    """Seconds that it took. Raises TimeoutError; a server that does not answer is no error."""
    start = time.monotonic()
    while (waited := time.monotonic() - start) < seconds:
        with suppress(OSError):
            if condition():
                return waited
        time.sleep(_PAUSE)
    raise TimeoutError(f"waited {seconds:g} s for {what}")
