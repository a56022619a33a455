import importlib
from dataclasses import fields
from functools import cache

import pytest
from mlflow.tracking import MlflowClient

from entrypoints import NAMES, flags
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


def flags_of(name):
    return importlib.import_module(f"entrypoints.{name}").FLAGS


def wrong_values(name):
    """Of an entry point, as (flag, value)."""
    for flag in flags_of(name):
        if flag not in FREE and (name, flag) not in LOOKED_UP:
            wrong = WRONG[KINDS.get(flag, str)]
            yield from ((flag, value) for value in wrong if value not in MAY_BE.get(flag, ()))


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory):
    """An empty working directory with no store: nothing is to appear in it."""
    folder = tmp_path_factory.mktemp("nowhere")
    with working_in(folder, f"sqlite:///{folder}/mlflow.db"):
        yield folder


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_value_is_refused_before_any_work(nowhere, monkeypatch, capsys, name):
    def begin(*args, **kwargs):
        raise AssertionError("work began")

    def answer(flag, value):
        """Exit code and message; a traceback is an answer too."""
        try:
            return main([name, f"--{flag}", value]), capsys.readouterr().err
        except BaseException as error:
            return repr(error), capsys.readouterr().err

    monkeypatch.setattr(flags, "_fields", cache(flags._fields))  # parses sources for --help
    monkeypatch.setattr(MlflowClient, "__init__", begin)
    monkeypatch.setattr("serving.server.create_app", begin)
    answers = {(flag, value): answer(flag, value) for flag, value in wrong_values(name)}
    assert {of: said for of, said in answers.items() if not is_refusal(of[0], *said)} == {}
    assert list(nowhere.iterdir()) == []


def is_refusal(flag, code, message):
    """One line that names the flag."""
    field = flag.removeprefix("teacher_").removeprefix("student_")
    named = SAID.get(field, field) in message.replace("-", "")  # "a low-pass"
    return code == 2 and message.count("\n") == 1 and named


def test_every_flag_that_is_not_free_is_tried():
    tried = {(name, flag) for name in NAMES for flag, _ in wrong_values(name)}
    all_flags = {(name, flag) for name in NAMES for flag in flags_of(name)}
    assert {flag for _, flag in all_flags - tried} == FREE | {flag for _, flag in LOOKED_UP}
    assert {("distill", "student"), ("serve", "port"), ("promote", "force")} <= tried


def test_flags_of_a_phase_default_to_the_scale():
    of_teacher = scale_flags("teacher")
    assert of_teacher["scale"] == "quick"
    assert set(of_teacher.values()) == {"quick", "auto"}
    assert {"teacher", "dropout", "teacher_epochs"} <= set(of_teacher)
    assert scale_from(parse_flags(None, of_teacher, [])) == SCALES["quick"]


def test_flags_of_a_configuration_carry_its_defaults():
    of_gates = config_flags(Gates)
    assert of_gates == {"min_accuracy_rate": "0.9", "min_speedup": "1.5"}
    given = parse_flags(None, of_gates, ["--min_speedup", "2"])
    assert config_from(Gates, given) == Gates(min_speedup=2.0)


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["distill", "--student", "s9"]])
def test_a_users_mistake_ends_with_one_line_and_a_code(arguments, capsys):
    assert main(arguments) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert message.startswith(("usage:", "error: expected a student: s1, s2, s3, f1"))
