from dataclasses import fields

import pytest

from tomodistill.errors import InputError
from tomodistill.scales import SCALES, configure, flag_name
from tomodistill.simulation.config import Range


def test_paper_scale_is_the_papers():
    scale = SCALES["paper"]
    simulation, training = scale.simulation, scale.teacher
    assert (simulation.items, simulation.box, simulation.voxel_spacing) == (23_000, 40, 9.2)
    assert (simulation.tilt_range, simulation.snr) == ((-60, 60), Range(0.05, 0.05))
    assert simulation.recipe == "convolution"
    assert len(simulation.classes.split(",")) + simulation.none == 23
    assert (training.optimizer, training.learning_rate, training.batch_size) == ("sgd", 0.005, 64)
    assert (training.epochs, training.patience, training.dropout) == (20, 5, 0.7)
    assert scale.student.temperature == 5
    shared = ("optimizer", "learning_rate", "schedule", "batch_size", "epochs", "patience")
    assert all(getattr(scale.student, name) == getattr(training, name) for name in shared)


def test_quick_scale_keeps_its_promises():
    simulation = SCALES["quick"].simulation
    assert len(simulation.classes.split(",")) >= 6
    assert simulation.box >= 28
    assert simulation.snr.high <= 0.5
    assert simulation.recipe == "tilt_series"


def test_every_flag_names_one_field():
    phases = vars(SCALES["quick"])
    flags = [flag_name(phase, f.name) for phase, config in phases.items() for f in fields(config)]
    assert len(flags) == len(set(flags))


def test_given_fields_replace_the_scales():
    given = {"snr": "0.2", "teacher_epochs": "3", "student_epochs": "4", "student_augment": "false"}
    scale = configure("quick", given)
    assert scale.simulation.snr == Range(0.2, 0.2)
    assert (scale.teacher.epochs, scale.student.epochs) == (3, 4)
    assert scale.student.augment is False
    assert scale.teacher.augment is True


def test_auto_is_the_scales_value():
    assert configure("smoke", {"snr": "auto", "student": "auto"}) == SCALES["smoke"]


def test_a_folder_of_structures_brings_its_own_classes():
    assert configure("quick", {"structures": "maps"}).simulation.classes == "all"
    chosen = {"structures": "maps", "classes": "a,b"}
    assert configure("quick", chosen).simulation.classes == "a,b"


def test_a_folder_of_structures_gets_a_box_that_holds_a_ribosome():
    scale = configure("quick", {"structures": "maps"})
    assert scale.simulation.box * scale.simulation.voxel_spacing > 365  # Å
    given = {"structures": "maps", "voxel_spacing": "7", "teacher_epochs": "2"}
    scale = configure("quick", given)
    assert (scale.simulation.voxel_spacing, scale.teacher.epochs) == (7.0, 2)
    assert configure("paper", {"structures": "maps"}).teacher == SCALES["paper"].teacher


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"snr": "loud"}, "snr: a number, or a range as 0.1..0.5"),
        ({"defocus": "2..x"}, "defocus: a number, or a range"),
        ({"teacher_epochs": "1.5"}, "teacher_epochs: a whole number"),
        ({"student_augment": "maybe"}, "student_augment: true or false"),
        ({"student": "s9"}, "a student: s1, s2, s3"),
        ({"labels": "medium"}, "soft or hard"),
        ({"temperature": "0"}, "temperature greater than zero"),
        ({"teacher_epochs": "-1"}, "teacher_epochs greater than zero"),
        ({"student_optimizer": "lbfgs"}, "student_optimizer: adam or sgd"),
        ({"snr": "nan"}, "snr"),
        ({"student_augment_shift": "8"}, "student_augment_shift: at most a quarter of the box, 7"),
    ],
)
def test_a_value_that_is_none_is_refused_by_name(given, words):
    with pytest.raises(InputError, match=words):
        configure("quick", given)


def test_unknown_scale():
    with pytest.raises(InputError, match=r"quick, paper, smoke.*'huge'"):
        configure("huge", {})
