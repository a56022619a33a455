import importlib
from dataclasses import fields

import pytest
from mlflow.tracking import MlflowClient

from entrypoints import NAMES
from entrypoints.__main__ import main
from entrypoints.flags import config_flags, config_from, parse_flags, scale_flags, scale_from
from entrypoints.sweep import SWEPT
from serving.config import ServiceConfig
from tests.processes import working_in
from tomodistill.evaluation.search import Search
from tomodistill.ingestion.config import Ingestion
from tomodistill.scales import SCALES, flag_name
from tomodistill.simulation.config import Range
from tomodistill.tracking.gates import Gates

# What MLproject calls `type: string` and the code reads as something else, by flag.
KINDS = {
    **{
        f.name: type(f.default)
        for config in (Gates, Search, ServiceConfig, Ingestion)
        for f in fields(config)
    },
    **{
        flag_name(phase, f.name): type(getattr(config, f.name))
        for phase, config in vars(SCALES["smoke"]).items()
        for f in fields(config)
    },
    "force": bool,
    "version": int,
}
# Words of which only the store or the disk can say whether they name something; tested with those.
FREE = {
    *("structures", "classes", "set", "filter", "out"),
    *("particles", "tomograms", "dataset"),
    *("model", "host", "hosts", "tokens", "admin_tokens", "cache"),
}
LOOKED_UP = {(name, "student") for name in ("promote", "robustness", "export")}
NO_NUMBERS = ("x", "nan", "-1", "", "1,5")
WRONG = {
    bool: ("maybe", "1", ""),
    int: (*NO_NUMBERS, "inf", "1e3", "1.5"),
    float: (*NO_NUMBERS, "-1e3", "-inf"),
    Range: (*NO_NUMBERS, "-1e3", "0.1..", "5..0.1"),
    str: ("nonsense", ""),
}
# A tilt may be negative; which versions there are is looked up.
MAY_BE = {"tilt_min": ("-1",), "tilt_max": ("-1",), "version": ("-1",)}
# How a message calls what another word names on the command line.
SAID = {"students": "student", "snrs": "snr", **SWEPT}


def wrong_values():
    for name in NAMES:
        for flag in importlib.import_module(f"entrypoints.{name}").FLAGS:
            if flag not in FREE and (name, flag) not in LOOKED_UP:
                kind = KINDS.get(flag, str)
                yield from ((name, flag, v) for v in WRONG[kind] if v not in MAY_BE.get(flag, ()))


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory):
    """An empty working directory with no store: nothing is to appear in it."""
    folder = tmp_path_factory.mktemp("nowhere")
    with working_in(folder, f"sqlite:///{folder}/mlflow.db"):
        yield folder


@pytest.mark.parametrize(("name", "flag", "value"), list(wrong_values()))
def test_a_wrong_value_is_refused_before_any_work(nowhere, monkeypatch, capsys, name, flag, value):
    def begin(*args, **kwargs):
        raise AssertionError("work began")

    monkeypatch.setattr(MlflowClient, "__init__", begin)
    monkeypatch.setattr("serving.server.create_app", begin)
    assert main([name, f"--{flag}", value]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    field = flag.removeprefix("teacher_").removeprefix("student_")
    assert SAID.get(field, field) in message.replace("-", "")  # "a low-pass"
    assert list(nowhere.iterdir()) == []


def test_every_flag_that_is_not_free_is_tried():
    tried = {(name, flag) for name, flag, _ in wrong_values()}
    flags = {(n, f) for n in NAMES for f in importlib.import_module(f"entrypoints.{n}").FLAGS}
    assert {flag for _, flag in flags - tried} == FREE | {flag for _, flag in LOOKED_UP}
    assert {("distill", "student"), ("serve", "port"), ("promote", "force")} <= tried


def test_flags_of_a_phase_default_to_the_scale():
    flags = scale_flags("teacher")
    assert flags["scale"] == "quick"
    assert set(flags.values()) == {"quick", "auto"}
    assert {"teacher", "dropout", "teacher_epochs"} <= set(flags)
    assert scale_from(parse_flags(None, flags, [])) == SCALES["quick"]


def test_flags_of_a_configuration_carry_its_defaults():
    flags = config_flags(Gates)
    assert flags == {"min_accuracy_rate": "0.9", "min_speedup": "1.5"}
    given = parse_flags(None, flags, ["--min_speedup", "2"])
    assert config_from(Gates, given) == Gates(min_speedup=2.0)


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["distill", "--student", "s9"]])
def test_a_users_mistake_ends_with_one_line_and_a_code(arguments, capsys):
    assert main(arguments) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert message.startswith(("usage:", "error: expected a student: s1, s2, s3, f1"))
