from typing import Any

import pytest

from tomodistill.distillation.config import StudentConfig, TeacherConfig, Training, members
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
        (Training, "augment_shift", -1),
        (Training, "augment_noise", -0.1),
        (Training, "augment_noise", float("nan")),
        (Training, "augment_mix", 0.51),
        (TeacherConfig, "teacher", "s3"),
        (TeacherConfig, "teacher", ""),
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


def test_an_ensemble_has_one_configuration_for_each_teacher() -> None:
    config = TeacherConfig(teacher="dsrf3d_v2, rb3d,dsrf3d_v2,models:/x@best", seed=4, epochs=2)
    each = members(config)
    assert [(of.teacher, of.seed) for of in each] == [
        ("dsrf3d_v2", 4),
        ("rb3d", 4),
        ("dsrf3d_v2", 5),
        ("models:/x@best", 4),
    ]
    assert {of.epochs for of in each} == {2}
    assert members(each[2]) == (each[2],)


@pytest.mark.parametrize(
    ("teachers", "words"),
    [
        ("rb3d,s3", r"a teacher: dsrf3d_v2, rb3d, cb3d, or a registered one.*found 's3'"),
        ("rb3d,", "found ''"),
        ("models:/x/1,rb3d,models:/x/1", "found models:/x/1 2 times"),
    ],
)
def test_an_ensemble_with_a_name_that_is_wrong_is_refused(teachers: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        TeacherConfig(teacher=teachers)


def test_zero_where_it_means_something() -> None:
    assert TeacherConfig(dropout=0.0, seed=0).dropout == 0
    assert Training(augment_shift=0, augment_noise=0.0, augment_mix=0.0, augment=False)


@pytest.mark.parametrize("name", ["augment_shift", "augment_noise", "augment_mix"])
def test_what_augment_switches_off_cannot_be_asked_for(name: str) -> None:
    value = {"augment_shift": 2}.get(name, 0.25)
    assert getattr(StudentConfig(**{name: value}), name) == value
    with pytest.raises(InputError, match=f"{name} 0 where augment is false") as caught:
        StudentConfig(**{name: value}, augment=False)
    assert caught.value.found == str(value)
