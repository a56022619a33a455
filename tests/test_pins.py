"""The one list of dependencies, its copies, and the fixes that it must have."""

import re
import subprocess
import tomllib
from pathlib import Path

import yaml
from packaging.version import Version

ROOT = Path(__file__).parent.parent
DEVELOPER_TOOLS = {
    "httpx",
    "hypothesis",
    "jax",
    "mypy",
    "pytest",
    "pytest-xdist",
    "pyyaml",
    "ruff",
    "schemathesis",
    "starfile",
    "tritonclient[http]",
    "uv",
}
# The first versions without holes that matter to a service that reads strangers' files.
KNOWN_FIXES = {
    "keras": "3.15.1",
    "tensorflow": "2.21.0",
    "mlflow": "3.11.1",
    "starlette": "1.3.1",
    "h11": "0.16",
    "httptools": "0.6.3",
    "orjson": "3.11.6",
    "uvicorn": "0.11.7",
}
KNOWN_FIXES_IF_PRESENT = {"python-multipart": "0.0.27", "distributed": "2026.1.1"}


def conda_pins() -> list[str]:
    dependencies = yaml.safe_load((ROOT / "conda.yaml").read_text())["dependencies"]
    return next(entry["pip"] for entry in dependencies if isinstance(entry, dict))


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", "\n".join(lines), flags=re.MULTILINE))


def test_every_dependency_is_pinned_and_locked_at_the_same_version() -> None:
    pins = dict(re.sub(r"\[.*\]", "", pin).split("==") for pin in conda_pins())
    assert pins.items() <= locked().items()
    assert "tensorflow" in pins
    assert "setuptools" in locked()  # builds the project itself, without isolation


def test_pyproject_repeats_the_list_of_conda() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tools = project["optional-dependencies"]["dev"]
    assert sorted(project["dependencies"] + tools) == sorted(conda_pins())
    assert {tool.split("==")[0] for tool in tools} == DEVELOPER_TOOLS


def test_lock_names_no_index() -> None:
    assert not re.search(r"://|--|@", (ROOT / "requirements.lock").read_text())


def test_locked_versions_have_the_known_fixes() -> None:
    versions = locked()
    wanted = KNOWN_FIXES | {n: v for n, v in KNOWN_FIXES_IF_PRESENT.items() if n in versions}
    assert {n for n, v in wanted.items() if Version(versions[n]) < Version(v)} == set()


def test_shell_reads_the_same_list_as_yaml() -> None:
    done = subprocess.run([ROOT / "tools/pins.sh"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == conda_pins()
