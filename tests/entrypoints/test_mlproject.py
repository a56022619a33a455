import importlib
import re
from pathlib import Path

import pytest
import yaml

from entrypoints.__main__ import NAMES

ROOT = Path(__file__).resolve().parents[2]
PROJECT = yaml.safe_load((ROOT / "MLproject").read_text())


def test_every_entry_point_is_there():
    assert tuple(PROJECT["entry_points"]) == NAMES
    assert PROJECT["conda_env"] == "conda.yaml"


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_defaults_are_those_of_the_configuration(name):
    entry = PROJECT["entry_points"][name]
    flags = importlib.import_module(f"entrypoints.{name}").FLAGS
    declared = entry.get("parameters", {})
    assert {key: value["default"] for key, value in declared.items()} == flags
    assert {value["type"] for value in declared.values()} <= {"string"}


@pytest.mark.parametrize("name", NAMES)
def test_the_command_passes_every_parameter_on(name):
    command = PROJECT["entry_points"][name]["command"]
    assert command.startswith(f"PYTHONPATH=src python -m entrypoints {name}")
    passed = dict(re.findall(r"--(\w+) \{(\w+)\}", command))
    assert passed == {key: key for key in PROJECT["entry_points"][name].get("parameters", {})}
