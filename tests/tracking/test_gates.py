import pytest

from tomodistill.errors import InputError
from tomodistill.tracking.gates import Gates, failures

GOOD = {"val/accuracy_rate": 0.95, "speedup": 3.0}


def test_a_good_student_passes():
    assert failures(GOOD, Gates()) == []


def test_a_value_on_the_gate_passes():
    gates = Gates(min_accuracy_rate=0.95, min_speedup=3.0)
    assert failures(GOOD, gates) == []


def test_every_reason_is_told():
    reasons = failures({"val/accuracy_rate": 0.5, "speedup": 1.0}, Gates())
    assert reasons == [
        "val/accuracy_rate is 0.500, below min_accuracy_rate=0.9",
        "speedup is 1.000, below min_speedup=1.5",
    ]


def test_what_was_not_measured_does_not_pass():
    assert failures({"speedup": 3.0}, Gates()) == ["val/accuracy_rate was never measured"]
    assert failures({**GOOD, "speedup": float("nan")}, Gates()) != []


def test_the_test_part_is_never_gated_on():
    assert failures({**GOOD, "test/accuracy_rate": 0.0}, Gates()) == []


def test_impossible_gates():
    with pytest.raises(InputError, match="min_speedup"):
        Gates(min_speedup=-1)
