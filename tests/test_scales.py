from dataclasses import fields

import numpy as np
import pytest

from tomodistill.distillation.config import StudentConfig
from tomodistill.errors import InputError
from tomodistill.scales import RECIPES, SCALES, configure, flag_name
from tomodistill.simulation.catalogue import COMPLEXES
from tomodistill.simulation.config import Range
from tomodistill.simulation.structures import extent, load_structures


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


@pytest.mark.parametrize("name", ["quick", "paper"])
def test_held_out_classes_are_by_the_rule(name):
    """Not by how well they are told apart: the first eight by name that are of similar size."""
    scale = SCALES[name]
    trained = scale.simulation.classes.split(",")
    known = load_structures("builtin", classes="all", voxel_spacing=7.0)
    size = {s.name: (entry.mass_kda, extent(s)) for s, entry in zip(known, COMPLEXES, strict=True)}
    low, high = (bound([size[n] for n in trained], axis=0) for bound in (np.min, np.max))
    alike = [n for n, of in size.items() if n not in trained and ((low <= of) & (of <= high)).all()]
    assert scale.confidence.classes_a == tuple(alike[:8:2])
    assert scale.confidence.classes_b == tuple(alike[1:8:2])


@pytest.mark.parametrize("name", SCALES)
def test_held_out_classes_are_apart(name):
    scale = SCALES[name]
    a, b = scale.confidence.classes_a, scale.confidence.classes_b
    groups = [set(a), set(b), set(scale.simulation.classes.split(","))]
    assert len(set.union(*groups)) == sum(map(len, groups))
    assert all(groups)
    assert scale.confidence.false_rejection == 0.05


def test_other_classes_to_train_on_are_not_held_out():
    confidence = configure("quick", {"classes": "enolase,rubisco,clpp"}).confidence
    assert confidence.classes_a == (
        "apoferritin",
        "ornithine_carbamoyltransferase",
        "rna_polymerase",
    )
    assert "rubisco" not in confidence.classes_b
    for given in (
        {"classes": "all"},
        {"classes": SCALES["quick"].confidence.held_out_a},
        {"structures": "maps"},
        {"structures": "maps", "classes": "a,b"},
    ):
        assert configure("quick", given).confidence.held_out == ()


def test_held_out_classes_of_own_structures():
    given = {"structures": "maps", "classes": "a,b", "held_out_a": "c, d", "held_out_b": "e"}
    confidence = configure("quick", given).confidence
    assert (confidence.classes_a, confidence.classes_b) == (("c", "d"), ("e",))


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
        ({"held_out_a": "clpp,dps"}, "held_out_a: .* not among the classes trained on; found clpp"),
        ({"held_out_b": "pcna,p97"}, "held_out_b: .* not among the classes trained on; found p97"),
        ({"held_out_a": "sphinx"}, "held_out_a: structures that exist .*; found sphinx"),
        ({"held_out_a": "dps,rubisco"}, "held_out_b: none of held_out_a, as rubisco is"),
        ({"held_out_b": "none"}, "classes in both held_out_a and held_out_b, or in neither"),
        ({"held_out_a": "dps,,acr1"}, "held_out_a: structure names"),
        ({"held_out_a": "dps,dps"}, "held_out_a: structure names"),
        (
            {"structures": "maps", "held_out_a": "a", "held_out_b": "b"},
            "held_out_a: none where classes=all",
        ),
        ({"held_out_items": "3"}, "held_out_items: an integer of at least 4"),
        ({"false_rejection": "0"}, "false_rejection: above 0, up to 0.5"),
        ({"student_augment_shift": "8"}, "student_augment_shift: at most a quarter of the box, 7"),
    ],
)
def test_a_value_that_is_none_is_refused_by_name(given, words):
    with pytest.raises(InputError, match=words):
        configure("quick", given)


def test_own_data_bring_their_classes_and_hold_out_none_unless_asked():
    assert SCALES["quick"].data.has_simulated
    assert configure("quick", {"data": "simulated"}) == SCALES["quick"]
    for data in ("mine.h5", "simulated,mine.h5"):
        assert configure("quick", {"data": data}).confidence.held_out == ()
    asked = {"data": "mine.h5", "held_out_a": "clpp", "held_out_b": "rubisco"}
    assert configure("quick", asked).confidence.held_out == ("clpp", "rubisco")
    with pytest.raises(InputError, match="not among the classes trained on; found clpp"):
        configure("quick", {**asked, "data": "simulated,mine.h5"})
    with pytest.raises(InputError, match=r"classes: not given .*; found classes=clpp"):
        configure("quick", {"data": "mine.h5", "classes": "clpp"})


def test_unknown_scale():
    with pytest.raises(InputError, match=r"quick, paper, smoke.*'huge'"):
        configure("huge", {})


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_says_how_and_the_scale_how_long(scale, recipe):
    student = configure(scale, {"student_recipe": recipe}).student
    assert {name: getattr(student, name) for name in RECIPES[recipe]} == RECIPES[recipe]
    assert student.epochs == SCALES[scale].student.epochs


def test_the_best_recipe_is_the_default_of_students():
    best = StudentConfig(**RECIPES["best"])
    assert best == StudentConfig() == SCALES["quick"].student
    assert (best.schedule, best.augment, best.label_views) == ("cosine", True, "matching")
    assert best.patience >= best.epochs  # a noisy validation loss does not end it


def test_flags_win_over_a_recipe():
    given = {"student_recipe": "paper", "student_optimizer": "adam"}
    assert configure("quick", given).student.optimizer == "adam"
    with pytest.raises(InputError, match="student_recipe: best or paper"):
        configure("quick", {"student_recipe": "good"})
