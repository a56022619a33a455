"""Set-up; the stand-in for conda."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CREATE = ("env", "create", "-n", "mlflow-x", "--file")
SHELL_TOOLS = "awk bash cat chmod cksum cmp cp dirname env grep head ln mkdir mv readlink rm touch"

STUB_UV = """#!/usr/bin/env bash
echo "$1 $2" >>"$CALLS"
if [[ $1 == venv ]]; then
    mkdir -p .venv/bin && touch .venv/bin/activate && cp "$0" .venv/bin/uv
    printf '#!/usr/bin/env bash\\n' >.venv/bin/python
    printf '#!/usr/bin/env bash\\ntouch "${MLFLOW_TRACKING_URI#sqlite:///}"\\n' >.venv/bin/mlflow
    chmod +x .venv/bin/*
else
    if [[ $* == *"--requirement -"* ]]; then cat >/dev/null; fi
    [[ -z ${NO_NETWORK-} ]]
fi
"""
STUB_CONDA = """#!/usr/bin/env bash
if [[ "$*" == "info --base" ]]; then echo "$(dirname "$(dirname "$0")")"; else echo "real $*"; fi
"""
STUB_CONDA_SH = 'conda() { [[ $3 != mlflow-missing ]] && export CONDA_PREFIX="$3"; }\n'


def write_script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def copy_checkout(folder: Path) -> Path:
    """What set-up needs of a checkout."""
    for name in ("setup.sh", "conda.yaml", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "tools", folder / "tools")
    return folder


@pytest.fixture
def bin_dir(tmp_path: Path) -> Path:
    """A PATH with the shell's tools alone: no Python, no uv, no conda."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in SHELL_TOOLS.split():
        (folder / tool).symlink_to(shutil.which(tool) or pytest.fail(f"{tool} is missing"))
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "a checkout"
    folder.mkdir()
    return copy_checkout(folder)


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path, bin_dir: Path) -> Run:
    base = {"PATH": str(bin_dir), "HOME": str(tmp_path), "CALLS": str(tmp_path / "calls")}

    def call(*command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        words = [str(word) for word in command]
        return subprocess.run(
            words, env=base | env, capture_output=True, text=True, timeout=30, check=False
        )

    return call


@pytest.fixture
def set_up(tmp_path: Path, bin_dir: Path, run: Run) -> Callable[..., list[str]]:
    """Runs a checkout's set-up with a stub of uv; returns what the stub was asked for."""
    write_script(bin_dir / "uv", STUB_UV)

    def call(folder: Path, *, status: int = 0, **env: str) -> list[str]:
        (tmp_path / "calls").write_text("")
        done = run(folder / "setup.sh", **env)
        assert done.returncode == status, done.stderr
        return (tmp_path / "calls").read_text().splitlines()

    return call


# What a whole set-up asks of uv: the environment, the packages, the project itself.
MADE = ["venv --quiet", "pip install", "pip install"]


def test_set_up_is_made_once(checkout: Path, set_up: Callable[..., list[str]]) -> None:
    assert set_up(checkout) == MADE
    assert (checkout / "mlflow.db").exists()
    assert (checkout / ".venv/bin/conda").resolve() == checkout / "tools/conda"
    files = [checkout, *checkout.rglob("*")]
    before = [path.lstat().st_mtime_ns for path in files]
    assert set_up(checkout) == []
    assert [path.lstat().st_mtime_ns for path in files] == before


def test_set_up_follows_the_lock(checkout: Path, set_up: Callable[..., list[str]]) -> None:
    set_up(checkout)
    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    assert set_up(checkout) == MADE[1:]
    assert set_up(checkout) == []


def test_moved_checkout_is_set_up_again(
    checkout: Path, tmp_path: Path, set_up: Callable[..., list[str]]
) -> None:
    set_up(checkout)
    assert set_up(checkout.rename(tmp_path / "moved")) == MADE


def test_linked_checkout_is_the_same(
    checkout: Path, tmp_path: Path, set_up: Callable[..., list[str]]
) -> None:
    set_up(checkout)
    (tmp_path / "link").symlink_to(checkout)
    assert set_up(tmp_path / "link") == []


def test_read_only_checkout(set_up: Callable[..., list[str]]) -> None:
    with tempfile.TemporaryDirectory() as name:  # another user may not enter `tmp_path`
        folder = copy_checkout(Path(name))
        set_up(folder, MLFLOW_TRACKING_URI="http://127.0.0.1:5000")
        assert as_another_user(folder) == (0, "")
        (folder / ".venv/.complete").unlink()
        status, message = as_another_user(folder)
    assert status == 1
    assert f"{folder} cannot be written, and its .venv is unfinished" in message


def as_another_user(folder: Path) -> tuple[int, str]:
    """Status and messages of set-up for someone who may read and run, not write."""
    subprocess.run(["chmod", "-R", "a+rX,a-w", folder], check=True)
    privileged = {"user": 65534} if os.geteuid() == 0 else {}
    command, env = [folder / "setup.sh"], {"PATH": os.defpath}
    done = subprocess.run(command, env=env, capture_output=True, text=True, **privileged)
    subprocess.run(["chmod", "-R", "u+w", folder], check=True)
    return done.returncode, done.stderr


def test_set_up_looks_for_a_moved_store(checkout: Path, set_up: Callable[..., list[str]]) -> None:
    set_up(checkout)
    stub = '#!/usr/bin/env bash\nif [[ $1 != -c ]]; then echo "$1" >>seen; exit 1; fi\n'
    write_script(checkout / ".venv/bin/python", stub)
    set_up(checkout, MLFLOW_TRACKING_URI="http://127.0.0.1:5000")
    assert not (checkout / "seen").exists()
    set_up(checkout, status=1)  # what it says ends the set-up
    set_up(checkout, status=1, MLFLOW_TRACKING_URI=f"sqlite:///{checkout}/mlflow.db")
    assert (checkout / "seen").read_text().split() == ["tools/moved_store.py"] * 2


def test_unfinished_set_up_is_not_taken_for_whole(
    checkout: Path, run: Run, set_up: Callable[..., list[str]]
) -> None:
    assert set_up(checkout, status=1, NO_NETWORK="1") == MADE[:2]
    assert not (checkout / ".venv/.complete").exists()
    create = run(checkout / "tools/conda", *CREATE, checkout / "conda.yaml")
    assert create.returncode == 1
    assert "make setup" in create.stderr
    assert set_up(checkout) == MADE


def test_set_up_leaves_a_tracking_server_alone(
    checkout: Path, set_up: Callable[..., list[str]]
) -> None:
    set_up(checkout, MLFLOW_TRACKING_URI="http://127.0.0.1:5000")
    assert not (checkout / "mlflow.db").exists()


def test_set_up_says_that_python_is_missing(checkout: Path, run: Run) -> None:
    done = run(checkout / "setup.sh")
    assert done.returncode == 1
    assert "Python 3.11" in done.stderr
    assert not (checkout / ".venv").exists()


def test_stand_in_answers_mlflow(
    checkout: Path, run: Run, set_up: Callable[..., list[str]]
) -> None:
    set_up(checkout)
    conda = checkout / ".venv/bin/conda"
    assert run(conda, "--help").returncode == 0
    assert json.loads(run(conda, "env", "list", "--json").stdout) == {"envs": []}
    assert run(conda, *CREATE, checkout / "conda.yaml").returncode == 0
    assert run(conda, *CREATE, checkout / "pyproject.toml").returncode == 1
    assert run(conda, "install", "numpy").returncode == 1


@pytest.mark.parametrize("found_by", ["PATH", "CONDA_EXE", "MLFLOW_CONDA_HOME"])
def test_stand_in_gives_way_to_a_real_conda(
    found_by: str, checkout: Path, tmp_path: Path, bin_dir: Path, run: Run
) -> None:
    home = tmp_path / "miniconda"
    real = write_script(home / "bin/conda", STUB_CONDA)
    other_stand_in = write_script(tmp_path / "other/conda", (ROOT / "tools/conda").read_text())
    path = os.pathsep.join(map(str, [checkout / "tools", other_stand_in.parent, bin_dir]))
    env = {
        "PATH": {"PATH": f"{path}{os.pathsep}{real.parent}"},
        "CONDA_EXE": {"PATH": path, "CONDA_EXE": str(real)},
        "MLFLOW_CONDA_HOME": {"PATH": path, "MLFLOW_CONDA_HOME": str(home)},
    }[found_by]
    done = run(checkout / "tools/conda", "env", "list", "--json", **env)
    assert done.stdout == "real env list --json\n"


@pytest.mark.parametrize(
    ("real", "name", "prefix"),
    [
        (True, "mlflow-abc", "mlflow-abc"),
        (True, "mlflow-missing", None),
        (True, "", ""),
        (False, "mlflow-abc", ""),
    ],
)
def test_activation_hands_over_to_a_real_conda(
    real: bool, name: str, prefix: str | None, checkout: Path, tmp_path: Path, run: Run
) -> None:
    home = tmp_path / "miniconda"
    path = f"{checkout / 'tools'}{os.pathsep}{tmp_path / 'bin'}"
    if real:
        write_script(home / "bin/conda", STUB_CONDA)
        write_script(home / "etc/profile.d/conda.sh", STUB_CONDA_SH)
        path += f"{os.pathsep}{home / 'bin'}"
    script = f'source "{checkout}/tools/activate_conda.sh" {name} && echo "${{CONDA_PREFIX-}}"'
    done = run("bash", "-c", script, PATH=path)
    assert (done.stdout.strip() if done.returncode == 0 else None) == prefix
