"""The rules of the house: which way imports point, what they may load, how long a file may be."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "src" / "tomodistill"
LONGEST_FILE = 300  # lines

# A room imports from its own floor and from those below.
FLOORS = {
    "errors": 0,
    "machine": 0,
    "places": 0,
    "simulation": 1,
    "subtomograms": 1,
    "particles": 1,
    "tomograms": 1,
    "ingestion": 2,
    "networks": 2,
    "distillation": 3,
    "inference": 3,
    "evaluation": 4,
    "bulk": 4,
    "scales": 4,  # the configurations of every phase side by side
    "tracking": 5,
    "entrypoints": 6,
    "serving": 6,
}
HEAVY = ("keras", "tensorflow", "jax", "mlflow", "fastapi")
# Room -> libraries that may be imported nowhere else in the package.
HOMES = {"mlflow": {"tracking"}, "fastapi": {"serving"}, "distributed": {"bulk"}}


def sources(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if ".venv" not in path.parts)


def room_of(path: Path) -> str:
    parts = path.relative_to(HOUSE if path.is_relative_to(HOUSE) else ROOT).parts
    return parts[0].removesuffix(".py")


def imported(code: str) -> Iterator[str]:
    """Dotted names that a module imports, at its top or inside functions."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide which way they point"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def offences(room: str, code: str) -> list[str]:
    """Imports that point upwards, or libraries away from home."""
    found = []
    for name in imported(code):
        parts = name.split(".")
        to = parts[1] if parts[0] == "tomodistill" and len(parts) > 1 else parts[0]
        if FLOORS.get(to, 0) > FLOORS[room] or room not in HOMES.get(parts[0], {room}):
            found.append(name)
    return found


def loaded_by(modules: list[str]) -> set[str]:
    """What a fresh interpreter has loaded after importing `modules`."""
    code = f"import sys, importlib\nfor name in {modules}: importlib.import_module(name)\n"
    return set(output_of(f"{code}print(*sys.modules)").split())


def output_of(code: str) -> str:
    """What a fresh interpreter prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        timeout=120,
    )
    return done.stdout


def modules(*, without: tuple[str, ...] = (), only: tuple[str, ...] = ()) -> list[str]:
    """Dotted names of the package's modules, by room."""
    chosen = [
        path
        for path in sources(HOUSE)
        if room_of(path) not in without and (not only or room_of(path) in only)
    ]
    dotted = [".".join(path.relative_to(HOUSE.parent).with_suffix("").parts) for path in chosen]
    return [name.removesuffix(".__init__") for name in dotted]


def test_physics_and_files_load_no_heavy_library() -> None:
    names = modules(only=("simulation", "subtomograms"))
    assert {"tomodistill.simulation.wedge", "tomodistill.subtomograms.dataset"} <= set(names)
    loaded = loaded_by(names)
    assert set(names) <= loaded
    assert not loaded.intersection(HEAVY)


def test_nothing_but_tracking_loads_mlflow() -> None:
    names = modules(without=("tracking",))
    loaded = loaded_by(names)
    assert set(names) <= loaded
    assert "keras" in loaded
    assert not loaded.intersection(("mlflow", "fastapi"))


def test_a_cpu_classifies_without_keras_and_its_backends(tmp_path: Path) -> None:
    from tests.versions import PASSED, random_volumes, write_openvino_version

    folder = write_openvino_version(tmp_path / "version", seed=3, float32=PASSED)
    np.save(tmp_path / "volumes.npy", random_volumes(3))
    code = f"""
import sys
from pathlib import Path
import numpy as np
from tomodistill.inference.classifier import Classifier
classifier = Classifier.load(Path({str(folder)!r}), engine="openvino")
found = classifier.decide(np.load({str(tmp_path / "volumes.npy")!r}))
print(len(found.classes), *sys.modules)
"""
    count, *loaded = output_of(code).split()
    assert (int(count), "openvino" in loaded) == (3, True)
    assert not set(loaded).intersection(("keras", "tensorflow", "jax", "torch"))


@pytest.mark.parametrize("top", ["src/tomodistill", "entrypoints", "serving"])
def test_imports_never_point_upwards(top: str) -> None:
    found = {
        str(path.relative_to(ROOT)): offences(room_of(path), path.read_text())
        for path in sources(ROOT / top)
        if path.parent != HOUSE or room_of(path) in FLOORS
    }
    assert found
    assert {path: names for path, names in found.items() if names} == {}


def test_every_room_has_a_floor() -> None:
    rooms = {room_of(path) for path in sources(HOUSE)} - {"__init__"}
    assert rooms <= set(FLOORS)


@pytest.mark.parametrize(
    ("room", "code", "found"),
    [
        ("simulation", "import tomodistill.networks.build", ["tomodistill.networks.build"]),
        ("networks", "from tomodistill import tracking", ["tomodistill.tracking"]),
        ("inference", "def f():\n    from mlflow import log", ["mlflow.log"]),
        ("tracking", "import mlflow, fastapi", ["fastapi"]),
        ("evaluation", "from serving.app import app", ["serving.app.app"]),
        ("distillation", "import keras\nfrom tomodistill.subtomograms.views import view", []),
    ],
)
def test_the_rule_sees_what_breaks_it(room: str, code: str, found: list[str]) -> None:
    assert offences(room, code) == found


def test_no_file_is_too_long() -> None:
    tops = ("src", "entrypoints", "serving", "tests", "benchmarks", "tools")
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for top in tops
        for path in sources(ROOT / top)
    }
    assert "tests/test_layers.py" in lengths
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_FILE} == {}
