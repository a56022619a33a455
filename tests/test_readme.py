"""The README's marked commands, run literally, in a copy of the project, at `smoke` scale."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("MLproject", "conda.yaml", "src", "entrypoints", "serving", "tools")
SMOKE = {  # what each command gets at the smoke scale, which learns nothing
    "distill": " -P scale=smoke -P recipe=convolution",  # whose noise needs no measuring
    "promote": " -P min_accuracy_rate=0 -P min_speedup=0",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    for name in COPIED:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    return folder


@pytest.fixture(scope="module")
def environment(project):
    """As in the activated environment; --env-manager local stands for the conda stand-in here,
    which serves only the checkout it belongs to (tests/test_setup.py tests it)."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    store = f"sqlite:///{project}/mlflow.db"
    return {**os.environ, "PATH": path, "MLFLOW_TRACKING_URI": store}


def commands():
    text = (ROOT / "README.md").read_text()
    block = re.search(r"<!-- tested:.*?-->\n```sh\n(.*?)```", text, re.DOTALL).group(1)
    return [line.split("  #")[0].strip() for line in block.splitlines()]


def smoke(command):
    name = re.search(r"-e (\w+)", command).group(1)
    return f"{command} --env-manager local{SMOKE.get(name, '')}"


def run(command, project, environment):
    return subprocess.run(
        command, shell=True, cwd=project, env=environment, capture_output=True, text=True
    )


def test_the_marked_commands_work_in_order(project, environment):
    activate, *phases, serve, curl = commands()
    assert activate == "source .venv/bin/activate"
    assert len(phases) == 5
    for command in phases:
        done = run(smoke(command), project, environment)
        assert done.returncode == 0, done.stderr[-3000:]
    done = run(
        f"{sys.executable} -c 'import tools.demo as d; d.write_particle()'", project, environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    port = free_port()  # in place of the README's: another service may run on this machine
    curl = curl.replace(":8000", f":{port}")
    server = subprocess.Popen(
        f"{smoke(serve)} -P port={port}",
        shell=True,
        cwd=project,
        env=environment,
        start_new_session=True,
    )
    try:
        answer = answer_of(curl, project, environment)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=60)
    assert answer["model"]["version"] == "1"
    assert set(answer["predictions"][0]["probabilities"]) == {"clpp", "groel", "rubisco"}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def answer_of(curl, project, environment, seconds=180):
    """What the README's curl prints once the service is ready."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done = run(f"{curl} --silent --fail", project, environment)
        if done.returncode == 0:
            return json.loads(done.stdout)
        time.sleep(1)
    pytest.fail(f"no answer to {curl} within {seconds} s")


def test_an_unknown_student_fails_with_a_word_and_a_failed_run(project, environment):
    done = run(smoke("mlflow run . -e distill -P student=s9"), project, environment)
    assert done.returncode != 0
    assert "expected a student: s1, s2, s3, f1, f2, f3, or one of the family of" in done.stderr
    listed = run("mlflow runs list --experiment-id 0", project, environment).stdout
    run_id = re.search(r"[0-9a-f]{32}", listed).group(0)
    shown = run(f"mlflow runs describe --run-id {run_id}", project, environment).stdout
    assert json.loads(shown)["info"]["status"] == "FAILED"
