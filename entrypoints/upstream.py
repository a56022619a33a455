"""Everything a student learns from: the phases before distillation, found again or made."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from entrypoints.simulate import ensure_set
from entrypoints.soft_labels import ensure_soft_labels
from entrypoints.teacher import Teacher, ensure_teacher
from tomodistill.distillation.soft_labels import SoftLabels
from tomodistill.scales import Scale
from tomodistill.subtomograms.dataset import SubtomogramSet


@dataclass(frozen=True)
class Upstream:
    """A set, a teacher trained on it, and the teacher's soft labels of it."""

    scale: Scale
    data: SubtomogramSet
    teacher: Teacher
    soft_labels: SoftLabels
    soft_labels_run_id: str

    @cached_property
    def teacher_logits(self) -> NDArray[np.float32]:
        """(n, classes) logits of the set's items, in their order, as they stand."""
        names = self.data.header.class_names
        return self.soft_labels.join(self.data.ids.tolist(), class_names=names)[:, 0]

    @property
    def digests(self) -> dict[str, str]:
        """sha256 of what a student was made from, for its manifest."""
        return {"teacher": self.teacher.digest, "soft_labels": self.soft_labels.digest}


def ensure_upstream(scale: Scale) -> Upstream:
    """Run the phases that are missing."""
    data = ensure_set(scale)
    teacher = ensure_teacher(scale, data)
    soft_labels, run_id = ensure_soft_labels(scale, data, teacher)
    return Upstream(scale, data, teacher, soft_labels, run_id)
