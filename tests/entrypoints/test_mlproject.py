import importlib
import re
from pathlib import Path

import pytest
import yaml

from entrypoints import NAMES

ROOT = Path(__file__).resolve().parents[2]
PROJECT = yaml.safe_load((ROOT / "MLproject").read_text())


def test_every_entry_point_is_there():
    assert tuple(PROJECT["entry_points"]) == NAMES
    assert PROJECT["conda_env"] == "conda.yaml"


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_defaults_are_those_of_the_configuration(name):
    flags = importlib.import_module(f"entrypoints.{name}").FLAGS
    declared = PROJECT["entry_points"][name].get("parameters", {})
    for key, value in declared.items():  # MLflow passes flags that are not declared on as they are
        assert value == {"type": "string", "default": flags[key]}


def test_what_is_often_set_is_declared():
    declared = {
        name: set(entry.get("parameters", {})) for name, entry in PROJECT["entry_points"].items()
    }
    of_data = {"scale", "structures", "classes"}
    assert of_data <= declared["simulate"] <= declared["teacher"] <= declared["distill"]
    assert {"student", "labels", "temperature"} <= declared["distill"]
    assert declared["main"] >= of_data | {"students"}
    assert declared["compare"] == {"filter"}


@pytest.mark.parametrize("name", NAMES)
def test_the_command_passes_every_parameter_on(name):
    command = PROJECT["entry_points"][name]["command"]
    assert command.startswith(f"PYTHONPATH=src python -m entrypoints {name}")
    passed = dict(re.findall(r"--(\w+) \{(\w+)\}", command))
    assert passed == {key: key for key in PROJECT["entry_points"][name].get("parameters", {})}
