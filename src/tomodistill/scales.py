"""The scales: one word that chooses every configuration. Any field can still be given by itself."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from tomodistill.distillation.config import StudentConfig, TeacherConfig, Training
from tomodistill.errors import InputError
from tomodistill.evaluation.config import NO_CLASSES, Confidence, split_names
from tomodistill.simulation.catalogue import COMPLEXES, PAPER_GROUP
from tomodistill.simulation.config import Range, SimulationConfig
from tomodistill.simulation.structures import BUILTIN
from tomodistill.subtomograms.mixing import SIMULATED, TrainingData
from tomodistill.subtomograms.preprocessing import Preprocessing

AUTO = "auto"  # what a flag says for "as the scale has it"
_ALL = "all"  # classes: every structure there is
_SHARED = {field.name for field in fields(Training)}  # fields that teacher and student both have


@dataclass(frozen=True)
class Scale:
    """The configuration of every phase."""

    simulation: SimulationConfig
    preprocessing: Preprocessing
    teacher: TeacherConfig
    student: StudentConfig
    confidence: Confidence
    data: TrainingData

    def __post_init__(self) -> None:
        self._check_shift()
        self._check_held_out("held_out_a", self.confidence.classes_a)
        self._check_held_out("held_out_b", self.confidence.classes_b)

    def _check_shift(self) -> None:
        most = self.preprocessing.edge(self.simulation.box) // 4
        for phase, training in (("teacher", self.teacher), ("student", self.student)):
            if training.augment_shift > most:
                flag = flag_name(phase, "augment_shift")
                raise InputError(
                    expected=f"{flag}: at most a quarter of the box, {most} voxels",
                    found=f"{flag}={training.augment_shift}",
                    todo=f"Lower {flag}.",
                )

    def _check_held_out(self, flag: str, names: tuple[str, ...]) -> None:
        """Raises InputError for classes that are trained on, and for builtin ones there are not."""
        trained = self.simulation.classes if self.data.has_simulated else NO_CLASSES
        if names and trained == _ALL:
            raise InputError(
                expected=f"{flag}: none where classes=all",
                found=f"{flag}={','.join(names)}",
                todo="List in classes those to train on.",
            )
        wrong = set(names) & set(split_names(trained))
        if self.simulation.structures == BUILTIN:
            wrong |= set(names) - {entry.name for entry in COMPLEXES}
        if wrong:
            raise InputError(
                expected=f"{flag}: structures that exist and are not among the classes trained on",
                found=", ".join(sorted(wrong)),
                todo="Give others, or leave these out of classes.",
            )


_PAPER_TRAINING: dict[str, Any] = {
    "optimizer": "sgd",
    "learning_rate": 0.005,
    "schedule": "constant",
    "batch_size": 64,
    "epochs": 20,
    "patience": 5,
    "augment": False,
}
_SMOKE_TRAINING: dict[str, Any] = {"batch_size": 4, "epochs": 1}

# How students learn, whatever the scale; for how many epochs, the scale says.
RECIPE = "student_recipe"  # flag
RECIPES: dict[str, dict[str, Any]] = {
    "best": {
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "schedule": "cosine",
        "batch_size": 8,
        "patience": 12,
        "augment": True,
        "label_views": "matching",
    },
    "paper": {
        **{name: value for name, value in _PAPER_TRAINING.items() if name != "epochs"},
        "label_views": "identity",
    },
}

# Builtin complexes of similar size: a linear classifier on power spectra mistakes them for each
# other most. Every teacher's run measures that control (test/power_spectrum_accuracy).
_ALIKE = (
    "aspartate_carbamoyltransferase,beta_galactosidase,clpp,glutamine_synthetase,"
    "gtp_cyclohydrolase,hemocyanin,leucine_aminopeptidase,p97"
)

# Held out of `quick` and `paper`, chosen before any training: of the builtin complexes within the
# mass and size of the classes trained on the first eight by name, in turn for A and for B.
SCALES = {
    # minutes on two CPU cores
    "quick": Scale(
        SimulationConfig(
            classes=_ALIKE,
            items=1920,
            voxel_spacing=7.0,
            snr=Range(0.03, 0.03),
            neighbours=0.1,
            membranes=0.02,
            gold=0.01,
            off_centre=0.05,
            none=1.0,
        ),
        Preprocessing(),
        TeacherConfig(),
        StudentConfig(**RECIPES["best"]),
        Confidence(),
        TrainingData(),
    ),
    # arXiv 1801.10597, and where it is silent what its group wrote elsewhere: made for a GPU
    "paper": Scale(
        SimulationConfig(
            classes=",".join(PAPER_GROUP),
            items=23_000,
            box=40,
            voxel_spacing=9.2,
            recipe="convolution",
            binning=1.0,
            snr=Range(0.05, 0.05),
            none=1.0,
        ),
        Preprocessing(),
        TeacherConfig(dropout=0.7, **_PAPER_TRAINING),
        StudentConfig(**RECIPES["paper"], epochs=_PAPER_TRAINING["epochs"]),
        Confidence(
            held_out_a="beta_galactosidase,gtp_cyclohydrolase,lumazine_synthase,peroxiredoxin",
            held_out_b="glutamate_dehydrogenase,hemocyanin,p97,proteasome_activator_pa28",
            held_out_items=200,
        ),
        TrainingData(),
    ),
    # seconds: proves that the parts fit, learns nothing
    "smoke": Scale(
        SimulationConfig(classes="clpp,groel,rubisco", items=24, box=27, tilt_step=10.0),
        Preprocessing(),
        TeacherConfig(**_SMOKE_TRAINING),
        StudentConfig(**_SMOKE_TRAINING),
        Confidence(
            held_out_a="glutamine_synthetase", held_out_b="rna_polymerase", held_out_items=4
        ),
        TrainingData(),
    ),
}

# What a scale has for a folder of structures, of which nothing is known: every class, a box of
# 370 Å, which holds a ribosome, an SNR and a schedule with which many classes are learned in time.
_OWN_STRUCTURES = {
    "quick": {
        "items": "3120",
        "voxel_spacing": "13.2",
        "snr": "0.5",
        "teacher_epochs": "16",
        "teacher_learning_rate": "5e-4",
        "student_epochs": "8",
    }
}


def flag_name(phase: str, field: str) -> str:
    """How a field is called on the command line: `snr`, `temperature`, but `teacher_epochs`."""
    shared = phase in ("teacher", "student") and field in _SHARED
    return f"{phase}_{field}" if shared else field


def configure(name: str, given: Mapping[str, str]) -> Scale:
    """The scale of that name with the fields of `given` (flag name -> text) put in their place.

    Raises InputError for an unknown scale and for a text that is no value of its field.
    """
    if name not in SCALES:
        raise InputError(
            expected=f"a scale: {', '.join(SCALES)}", found=repr(name), todo="Choose one of them."
        )
    given = {flag: text for flag, text in given.items() if text != AUTO}
    if given.get("structures", BUILTIN) != BUILTIN:
        given = {**_OWN_STRUCTURES.get(name, {}), "classes": _ALL, **given}
    if given.get("data", SIMULATED) != SIMULATED:  # of whose classes a scale knows nothing
        given = {"held_out_a": NO_CLASSES, "held_out_b": NO_CLASSES, **given}
        _check_classes(given)
    if "classes" in given:
        given = {**_held_out(SCALES[name].confidence, given), **given}
    phases = vars(_with_recipe(SCALES[name], given.get(RECIPE)))
    return Scale(**{phase: _replace(phase, config, given) for phase, config in phases.items()})


def _with_recipe(scale: Scale, recipe: str | None) -> Scale:
    if recipe is None:
        return scale
    if recipe not in RECIPES:
        raise InputError(
            expected=f"{RECIPE}: {' or '.join(RECIPES)}", found=repr(recipe), todo="Choose one."
        )
    return replace(scale, student=replace(scale.student, **RECIPES[recipe]))


def _held_out(config: Confidence, given: Mapping[str, str]) -> dict[str, str]:
    """The scale's held-out classes where `given` are other classes to train on.

    Without those; none where that leaves one side empty, and none for a user's own structures.
    """
    names = given["classes"]
    sides = [
        [name for name in side if name not in split_names(names)]
        for side in (config.classes_a, config.classes_b)
    ]
    own = given.get("structures", BUILTIN) != BUILTIN
    kept = all(sides) and names != _ALL and not own
    a, b = (",".join(side) if kept else NO_CLASSES for side in sides)
    return {"held_out_a": a, "held_out_b": b}


def _check_classes(given: Mapping[str, str]) -> None:
    if "classes" in given and not TrainingData(given["data"]).has_simulated:
        raise InputError(
            expected="classes: not given where data names sets alone, which have their own",
            found=f"classes={given['classes']}",
            todo="Leave classes out.",
        )


def _replace(phase: str, config: Any, given: Mapping[str, str]) -> Any:
    flags = {field.name: flag_name(phase, field.name) for field in fields(config)}
    changed = {
        field: parse(flag, given[flag], type(getattr(config, field)))
        for field, flag in flags.items()
        if flag in given
    }
    try:
        return replace(config, **changed)
    except InputError as error:
        field = error.expected.partition(" ")[0].rstrip(":")  # say which: the teacher's epochs?
        expected = error.expected.replace(field, flag_name(phase, field), 1)
        raise InputError(expected=expected, found=error.found, todo=error.todo) from error


def parse(flag: str, text: str, kind: type) -> Any:
    """`text` as a value of type `kind`. Raises InputError if it is none."""
    try:
        return {bool: _truth, Range: Range.parse}.get(kind, kind)(text)
    except (ValueError, KeyError) as error:
        words = {
            bool: "true or false",
            int: "a whole number",
            float: "a number",
            Range: "a number, or a range as 0.1..0.5",
        }
        raise InputError(
            expected=f"{flag}: {words[kind]}", found=repr(text), todo=f"Change {flag}."
        ) from error


def _truth(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]
