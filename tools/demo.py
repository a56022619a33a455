"""`make demo`: from nothing to a prediction of a promoted student, by the README's commands."""

import argparse
import json
import os
import shlex
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from tomodistill import places
from tomodistill.subtomograms.dataset import open_set
from tomodistill.subtomograms.volumes import write_mrc
from tomodistill.tracking.registry import in_production

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 180  # on a busy machine, and with TensorFlow where it serves on a GPU
GATES_OFF = "-P min_accuracy_rate=0 -P min_speedup=0"  # `smoke` learns nothing

NEXT = """
That was the loop. Where to look next:
  source .venv/bin/activate
  mlflow run . -e compare          the trainings side by side, and links to the UI (mlflow ui)
  mlflow run . -e status           what is in production, and why
  mlflow run . -e distill -P student=s3 -P labels=hard     the control: the same budget, no teacher
  mlflow run . -e predict -P particles=$PWD/particle.mrc       boxes or lists, any number
  mlflow run . -e serve            then: curl --data-binary @particle.mrc http://127.0.0.1:8000/classify
"""


def main() -> None:
    """Distil, promote, serve, ask; every command is printed before it runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="quick", choices=("quick", "smoke"))
    parser.add_argument("--particle", action="store_true", help="only write particle.mrc, .npy")
    given = parser.parse_args()
    os.chdir(ROOT)
    if given.particle:
        print(f"particle.mrc and particle.npy: a simulated {write_particle()}, from the test part")
        return
    scale = given.scale
    smoke = scale == "smoke"
    _run("mlflow run . -e distill -P student=s3" + (" -P scale=smoke" if smoke else ""))
    _run("mlflow run . -e promote -P student=s3" + (f" {GATES_OFF}" if smoke else ""))
    true_class = write_particle()
    port = _free_port()
    with _service(port):
        url = f"http://127.0.0.1:{port}/classify"
        print(f"\n$ curl --data-binary @particle.mrc {url}", flush=True)
        answer = _post(url, Path("particle.mrc").read_bytes())
    print(json.dumps(answer, indent=2))
    print(f"\nparticle.mrc is a simulated {true_class}, from the test part.")
    print(f"{answer['engine']} answered in {answer['precision']}, on {answer['device']}.")
    print(NEXT)


def write_particle() -> str:
    """particle.mrc and particle.npy, from the test part of the set that the model in production
    was trained on; returns its class."""
    current = in_production()
    wanted = current.tags["data.sha256"] if current else ""
    data = next(s for s in map(open_set, places.sets().glob("*.h5")) if s.digest == wanted)
    row = data.rows("test")[:1]
    volume = data.volumes(row)[0]
    write_mrc(Path("particle.mrc"), volume, data.header.voxel_spacing, data.header.contrast)
    np.save("particle.npy", volume)
    return data.header.class_names[data.labels[row][0]]


def _run(command: str) -> None:
    print(f"\n$ {command}", flush=True)
    if code := subprocess.run(shlex.split(command)).returncode:
        raise SystemExit(code)  # its own message stands above


@contextmanager
def _service(port: int) -> Iterator[None]:
    command = f"mlflow run . -e serve -P port={port}"
    print(f"\n$ {command}", flush=True)
    process = subprocess.Popen(shlex.split(command), start_new_session=True)
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}/health/ready", process)
        yield
    finally:
        with suppress(ProcessLookupError):  # it may have died by itself
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise SystemExit(f"the service did not get ready; see its messages above ({url})")


def _post(url: str, body: bytes) -> dict[str, Any]:
    with urllib.request.urlopen(url, data=body, timeout=60) as answer:
        return dict(json.load(answer))


def _free_port(wanted: int = 8000) -> int:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
