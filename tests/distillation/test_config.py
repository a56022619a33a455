from typing import Any

import pytest

from tomodistill.distillation.config import StudentConfig, TeacherConfig, Training
from tomodistill.errors import InputError


def test_default_temperature_and_networks() -> None:
    assert StudentConfig().temperature == 5
    assert (StudentConfig().student, TeacherConfig().teacher) == ("s3", "dsrf3d_v2")
    assert StudentConfig().labels == "soft"


@pytest.mark.parametrize(
    ("config", "name", "value"),
    [
        (Training, "optimizer", "rmsprop"),
        (Training, "schedule", "linear"),
        (Training, "learning_rate", 0.0),
        (Training, "learning_rate", float("nan")),
        (Training, "learning_rate", float("inf")),
        (Training, "batch_size", 0),
        (Training, "epochs", -1),
        (Training, "patience", 0),
        (Training, "seed", -1),
        (TeacherConfig, "teacher", "s3"),
        (TeacherConfig, "dropout", 1.0),
        (TeacherConfig, "dropout", -0.1),
        (StudentConfig, "student", "s9"),
        (StudentConfig, "labels", "none"),
        (StudentConfig, "temperature", 0.0),
        (StudentConfig, "epochs", 0),
    ],
)
def test_impossible_values_are_refused(config: type[Training], name: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        config(**{name: value})
    assert str(value) in caught.value.found


def test_zero_where_it_means_something() -> None:
    assert TeacherConfig(dropout=0.0, seed=0).dropout == 0
