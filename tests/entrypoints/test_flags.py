import pytest

from entrypoints.__main__ import main
from entrypoints.flags import config_flags, config_from, parse_flags, scale_flags, scale_from
from tomodistill.scales import SCALES
from tomodistill.tracking.gates import Gates


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
    assert message.startswith(("usage:", "error: expected a student: s1, s2, s3; found 's9'."))
