"""How teachers and students are trained. The defaults are those of the `quick` scale."""

import math
from dataclasses import dataclass, fields, replace
from typing import Any

from tomodistill.errors import InputError
from tomodistill.networks.table import find_network, network_names

_CHOICES = {
    "optimizer": ("adam", "sgd"),
    "schedule": ("cosine", "constant"),
    "precision": ("float32", "mixed_bfloat16", "mixed_float16"),
    "labels": ("soft", "hard"),
    "loss": ("hinton", "soft_ce", "logits"),
    "label_views": ("identity", "matching", "mean"),
}
_AUGMENTATIONS = ("augment_shift", "augment_noise", "augment_mix")
_MAY_BE_ZERO = ("seed", "dropout", "hard_weight", *_AUGMENTATIONS)


@dataclass(frozen=True)
class Training:
    """What every training has."""

    optimizer: str = "adam"  # "adam", or "sgd" with Nesterov momentum 0.9
    learning_rate: float = 3e-4  # at the first step
    schedule: str = "cosine"  # "cosine" to zero, or "constant", which decays by 1e-7 a step
    batch_size: int = 8  # subtomograms; small: with few epochs it is the steps that count
    epochs: int = 12  # at most, through all items that are learned from
    patience: int = 12  # epochs without a better validation loss before training stops
    augment: bool = True  # turn volumes by the legal half turns, and what the next three say
    augment_shift: int = 0  # voxels, largest shift along each axis
    augment_noise: float = 0.0  # its standard deviation; that of a preprocessed volume is 1
    augment_mix: float = 0.0  # largest share of a second volume of the same batch, at most 0.5
    precision: str = "float32"  # "float32", "mixed_bfloat16" or "mixed_float16"; weights: float32
    seed: int = 0  # of initial weights, order, views and noise

    def __post_init__(self) -> None:
        for field in fields(self):
            self._check(field.name, getattr(self, field.name))
        if self.augment_mix > 0.5:
            raise InputError(
                expected="augment_mix of at most 0.5", found=f"{self.augment_mix}", todo="Lower it."
            )
        asked = [name for name in _AUGMENTATIONS if getattr(self, name)]
        if asked and not self.augment:
            raise InputError(
                expected=f"{asked[0]} 0 where augment is false",
                found=f"{getattr(self, asked[0])}",
                todo="Set augment to true, or leave it out.",
            )

    def _check(self, name: str, value: Any) -> None:
        choices = _CHOICES.get(name)
        if choices and value not in choices:
            raise InputError(
                expected=f"{name}: {' or '.join(choices)}", found=repr(value), todo="Choose one."
            )
        number = isinstance(value, int | float) and not isinstance(value, bool)
        positive = number and (value > 0 or (value == 0 and name in _MAY_BE_ZERO))
        if number and not (positive and math.isfinite(value)):
            raise InputError(
                expected=f"{name} greater than zero", found=f"{value}", todo="Change it."
            )


@dataclass(frozen=True)
class TeacherConfig(Training):
    """Phase 1: the large network on hard labels, or several of them: an ensemble."""

    teacher: str = "dsrf3d_v2"  # rb3d, cb3d or models:/NAME/3 too; several with commas: an ensemble
    dropout: float = 0.2  # after each dense layer

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in _names(self):
            _check_teacher(name, _names(self))
        if self.dropout >= 1:
            raise InputError(
                expected="a dropout below 1", found=f"{self.dropout}", todo="Change it."
            )


def members(config: TeacherConfig) -> tuple[TeacherConfig, ...]:
    """The configuration of each teacher of an ensemble; a name given again has the next seed."""
    names = _names(config)
    return tuple(
        replace(config, teacher=name, seed=config.seed + names[:index].count(name))
        for index, name in enumerate(names)
    )


def is_registered(teacher: str) -> bool:
    """Whether it is a classifier that someone else trained, by its URI in MLflow."""
    return teacher.startswith(("models:/", "runs:/"))


def _names(config: TeacherConfig) -> list[str]:
    return [name.strip() for name in config.teacher.split(",")]


def _check_teacher(name: str, names: list[str]) -> None:
    known = network_names("teacher")
    if name not in known and not is_registered(name):
        raise InputError(
            expected=f"a teacher: {', '.join(known)}, or a registered one as models:/NAME/3",
            found=repr(name),
            todo="Choose one, or several with commas between them.",
        )
    if is_registered(name) and names.count(name) > 1:
        raise InputError(
            expected="a registered teacher once: it has no other seed",
            found=f"{name} {names.count(name)} times",
            todo="Leave the others out.",
        )


@dataclass(frozen=True)
class StudentConfig(Training):
    """Phase 3: a small network on soft labels, or on hard ones as the control."""

    student: str = "s3"  # s1, s2, s3, f1, f2, f3, or a fast one by its architecture
    labels: str = "soft"  # "soft", or "hard" for the control on the same budget
    loss: str = "hinton"  # on soft labels: "hinton", "soft_ce" or "logits" (see losses)
    temperature: float = 5.0  # of the soft labels; "hinton" softens the student's answer too
    hard_weight: float = 0.0  # share of the hard labels' cross-entropy in the loss on soft labels
    label_views: str = "matching"  # soft labels of a turned volume: its own; "identity" or "mean"
    transfer: str = "none"  # sets (paths, comma-separated) or how many more items to learn from
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        find_network(self.student, "student")
        if self.hard_weight > 1:
            raise InputError(
                expected="a hard_weight of at most 1", found=f"{self.hard_weight}", todo="Lower it."
            )
