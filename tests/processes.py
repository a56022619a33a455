"""Real processes on loopback: our entry points, our service, an MLflow server.

Each is stopped by its own id, whatever the test did.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tomodistill.subtomograms.dataset import SubtomogramSet, open_set

ROOT = Path(__file__).resolve().parents[1]
SMOKE_CLASSES = ("clpp", "groel", "rubisco")
# The loop sooner, for processes: small boxes, whose noise needs no measuring; who learns from them.
SMALL = ["--scale", "smoke", "--recipe", "convolution", "--box", "16", "--voxel_spacing", "17"]
SMALL_STUDENT = [*SMALL, "--student", "f1"]
PATIENCE = 120  # seconds: on two busy cores TensorFlow alone takes thirty to import


def environment(store: str | None = None, **more: str) -> dict[str, str]:
    """For a process that runs our code in any working directory, with `store` as tracking URI."""
    paths = os.pathsep.join((str(ROOT), str(ROOT / "src")))
    tracking = {"MLFLOW_TRACKING_URI": store} if store else {}
    return {**os.environ, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "2", **tracking, **more}


def entry_point(name: str, *flags: str) -> list[str]:
    """The command that MLproject runs for an entry point."""
    return [sys.executable, "-m", "entrypoints", name, *flags]


def the_set(folder: Path = Path()) -> SubtomogramSet:
    """What `smoke` trains on, verified; beside it in `folder` lie the held-out classes."""
    sets = [open_set(path, verify=True) for path in folder.glob("data/sets/*.h5")]
    (found,) = (data for data in sets if data.header.class_names == SMOKE_CLASSES)
    return found


def stop_after(count: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, interrupted when it is asked for one more."""
    asked = 0

    def ask(*args: Any, **kwargs: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked > count:
            raise KeyboardInterrupt
        return function(*args, **kwargs)

    return ask


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process; asked to end afterwards, and made to if it does not."""
    process = subprocess.Popen(command, text=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=PATIENCE)
        finally:
            process.kill()


@contextmanager
def service(store: str, *flags: str) -> Iterator[str]:
    """Our service on what `store` has in production, ready; yields its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = entry_point("serve", "--port", str(port), "--poll_seconds", "0.2", *flags)
    with running(command, env=environment(store)) as process:
        wait_until_up(process, f"{url}/health/ready")
        yield url
    assert process.returncode == 0


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """An MLflow server whose clients see neither its database nor its artifacts, in `folder`."""
    port = free_port()
    stores = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--serve-artifacts"]
    stores += ["--artifacts-destination", str(folder / "artifacts")]
    address = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-m", "mlflow", "server", *address, *stores]
    with (
        Path(folder, "log").open("w") as log,
        running(command, env=environment(**quiet), cwd=folder, stdout=log, stderr=log) as process,
    ):
        wait_until_up(process, f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}"


def wait_until_up(process: subprocess.Popen[str], url: str) -> None:
    """Until `url` answers; at once an error if the process ends before."""

    def answers() -> bool:
        assert process.poll() is None, f"ended with {process.returncode}: {process.args!r}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return bool(answer.status == 200)

    wait_for(answers)


def wait_for(condition: Callable[[], bool], *, seconds: float = PATIENCE) -> None:
    """Until `condition` holds; a server that does not answer, or not yet well, is no error."""
    deadline, last = time.monotonic() + seconds, ""
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except urllib.error.HTTPError as error:
            last = str(error)
            error.close()
        except OSError as error:
            last = str(error)
        time.sleep(0.1)
    pytest.fail(f"not within {seconds} s {last}")


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def post(url: str, body: bytes) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=60) as answer:
        return json.load(answer)


@contextmanager
def working_in(folder: Path, store: str) -> Iterator[None]:
    """This process as a client of its own: working directory and tracking URI."""
    import mlflow

    before, uri = Path.cwd(), mlflow.get_tracking_uri()
    os.chdir(folder)
    mlflow.set_tracking_uri(store)
    try:
        yield
    finally:
        os.chdir(before)
        mlflow.set_tracking_uri(uri)
