"""Everything a student learns from: the phases before distillation, found again or made."""

from dataclasses import dataclass, replace
from functools import cached_property

from entrypoints.confidence import ensure_held_out
from entrypoints.soft_labels import LabelledSet, label, views_for
from entrypoints.teacher import Teacher, check_teachers, ensure_teachers
from entrypoints.training_data import ensure_data
from entrypoints.transfer import check_transfer, transfer_sets
from tomodistill.distillation.config import StudentConfig
from tomodistill.scales import Scale
from tomodistill.subtomograms.dataset import SubtomogramSet


@dataclass(frozen=True)
class Upstream:
    """A set, teachers trained on it, and their soft labels of it and of transfer sets."""

    scale: Scale  # whose student says which transfer sets and which views there are
    teachers: tuple[Teacher, ...]
    labelled: LabelledSet
    transfer: tuple[LabelledSet, ...]

    @property
    def data(self) -> SubtomogramSet:
        """The set, of which students learn the training part."""
        return self.labelled.data

    @property
    def teacher(self) -> Teacher:
        """The first, which students are measured beside."""
        return self.teachers[0]

    @cached_property
    def held_out(self) -> SubtomogramSet | None:
        """Classes that nothing is trained on, made when first asked for; None: there are none."""
        return ensure_held_out(self.scale)

    @property
    def transfer_items(self) -> int:
        """How many there are to learn from beside the training part."""
        return sum(len(of.data.ids) for of in self.transfer)

    def transfer_of(self, config: StudentConfig) -> tuple[LabelledSet, ...]:
        """The transfer sets that this student learns from: a control from none."""
        return self.transfer if config.labels == "soft" else ()

    def digests(self, config: StudentConfig) -> dict[str, str]:
        """sha256 of what a student was made from, for its manifest; several comma-separated."""
        found = {"teacher": self.teacher.digest}
        if len(self.teachers) > 1:
            found["ensemble"] = ", ".join(teacher.digest for teacher in self.teachers)
        if config.labels == "soft":
            found["soft_labels"] = self.labelled.digest
        if transfer := self.transfer_of(config):
            found["transfer"] = ", ".join(of.data.digest for of in transfer)
            found["transfer_soft_labels"] = ", ".join(of.digest for of in transfer)
        return found


def check_upstream(scale: Scale) -> None:
    """Raises InputError for what would be refused after hours of other phases."""
    check_teachers(scale)
    check_transfer(scale)


def ensure_upstream(scale: Scale) -> Upstream:
    """Run the phases that are missing."""
    data = ensure_data(scale)
    config = as_trained(scale.student)
    transfer = transfer_sets(scale, data, config)  # refused before hours of teacher
    teachers = ensure_teachers(scale, data)
    views = views_for(scale.student)  # a control too: it shares those of soft labels
    labelled, *others = [label(of, teachers, views=views) for of in (data, *transfer)]
    return Upstream(scale, teachers, labelled, tuple(others))


def as_trained(config: StudentConfig) -> StudentConfig:
    """The same for a student on soft labels; a control learns from the training part alone.

    What concerns soft labels is then as by default, so that none is trained twice.
    """
    if config.labels == "soft":
        return config
    plain = StudentConfig()
    return replace(
        config,
        loss=plain.loss,
        temperature=plain.temperature,
        hard_weight=plain.hard_weight,
        label_views="identity",
        transfer=plain.transfer,
    )
