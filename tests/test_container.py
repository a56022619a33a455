"""The image without Docker: what it copies exists, and its commands work with that alone."""

import json
import shlex
import shutil
import signal
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from serving.config import ServiceConfig
from tests.processes import ROOT, environment, free_port, running, wait_until_up

PORT = "8000"


def instructions() -> list[tuple[str, str]]:
    """Name and rest of each line, continued ones joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def value(name: str) -> str:
    (found,) = (rest for instruction, rest in instructions() if instruction == name)
    return found


def copied() -> list[str]:
    copies = [shlex.split(rest)[:-1] for name, rest in instructions() if name == "COPY"]
    return [source for sources in copies for source in sources]


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    """A folder with the files of the image."""
    folder = tmp_path_factory.mktemp("app")
    for source in copied():
        if (ROOT / source).is_dir():
            unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / source, folder / source, ignore=unwanted)
        else:
            shutil.copy(ROOT / source, folder / source)
    return folder


def test_all_that_is_copied_is_sent_to_docker():
    rules = (ROOT / ".dockerignore").read_text().split()
    kept = [rule[1:] for rule in rules if rule.startswith("!")]
    assert rules[0] == "*"
    assert sorted(copied()) == sorted(kept)
    assert not any(fnmatch(name, "*token*") for name in kept)


def test_its_commands_work_with_its_files_alone(image, tmp_path):
    port = str(free_port())
    python, *command = json.loads(value("ENTRYPOINT"))
    check = json.loads(value("HEALTHCHECK").partition("CMD ")[2])
    assert python == check[0] == "python"
    assert PORT in command
    assert f":{PORT}/" in check[-1]
    paths = {"PYTHONPATH": f"{image / 'src'}:{image}", "TOMODISTILL_DATA": str(tmp_path)}
    whole = environment(f"sqlite:///{tmp_path}/none.db", **paths)
    more = ["--host", "127.0.0.1", "--port", port, "--drain_seconds", "0"]  # the last one wins
    with running([sys.executable, *command, *more], cwd=image, env=whole) as process:
        wait_until_up(process, f"http://127.0.0.1:{port}/health/live")
        healthy = [sys.executable, *(part.replace(PORT, port) for part in check[1:])]
        assert subprocess.run(healthy, timeout=20).returncode == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert subprocess.run(healthy, timeout=20, stderr=subprocess.DEVNULL).returncode != 0


def test_it_runs_as_nobody_special_and_is_told_to_stop():
    assert value("USER") not in ("root", "0")
    assert value("STOPSIGNAL") == "SIGTERM"
    assert value("EXPOSE") == PORT


def test_compose_publishes_on_this_machine_alone_and_waits_for_the_end():
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    for one in compose["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in one["ports"])
        assert {volume.partition(":")[0] for volume in one["volumes"]} <= set(compose["volumes"])
    mlflow, service = compose["services"]["mlflow"], compose["services"]["service"]
    assert service["environment"]["MLFLOW_TRACKING_URI"] == "http://mlflow:5000"
    assert "--allowed-hosts=mlflow:5000" in " ".join(mlflow["entrypoint"])
    grace = float(service["stop_grace_period"].removesuffix("s"))
    drain = float(json.loads(value("ENTRYPOINT"))[-1])
    assert grace > drain + ServiceConfig().deadline_seconds + 5
