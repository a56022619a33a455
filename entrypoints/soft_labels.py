"""Phase 2: the logits of each teacher over a set, labelled or not, as an artifact joined by id."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from entrypoints.alike import check_alike
from entrypoints.flags import parse_flags, scale_flags, scale_from
from entrypoints.teacher import Teacher, check_teachers, ensure_teachers
from entrypoints.training_data import ensure_data
from tomodistill import places
from tomodistill.distillation.config import StudentConfig
from tomodistill.distillation.soft_labels import (
    SoftLabels,
    labels_of_views,
    make_soft_labels,
    mean_logits,
    read_soft_labels,
)
from tomodistill.errors import InputError
from tomodistill.inference.classifier import Classifier
from tomodistill.inference.engines import REFERENCE
from tomodistill.inference.version import read_manifest
from tomodistill.scales import AUTO, Scale
from tomodistill.subtomograms.dataset import SubtomogramSet, open_set
from tomodistill.subtomograms.files import remove_abandoned
from tomodistill.subtomograms.row_file import UNFINISHED_SECONDS
from tomodistill.subtomograms.views import legal_views
from tomodistill.tracking.provenance import phase_digest
from tomodistill.tracking.records import (
    artifact,
    log_config,
    log_file,
    log_metrics,
    log_set,
    log_tags,
)
from tomodistill.tracking.reuse import ensure
from tomodistill.tracking.runs import Run, take_over_run

OTHER_SET = "set"  # flag: another set to label, in place of the teacher's own
VIEWS = "views"  # flag: "identity", "legal" for every legal view, or what the scale's students need
FLAGS = {
    **scale_flags("data", "simulation", "preprocessing", "teacher"),
    OTHER_SET: AUTO,
    VIEWS: AUTO,
}
FILE = "soft_labels.h5"
IDENTITY, LEGAL = "identity", "legal"


@dataclass(frozen=True)
class LabelledSet:
    """A set with what each teacher says of it."""

    data: SubtomogramSet
    soft_labels: tuple[SoftLabels, ...]  # one of each teacher, all in the same views
    run_ids: tuple[str, ...]  # that made them

    @property
    def views(self) -> tuple[str, ...]:
        """In which the teachers saw each item."""
        return self.soft_labels[0].views

    @cached_property
    def of_each(self) -> NDArray[np.float32]:
        """(teachers, n, views, classes) logits of the set's items, in their order."""
        ids, names = self.data.ids.tolist(), self.soft_labels[0].class_names
        return np.stack([one.join(ids, class_names=names) for one in self.soft_labels])

    @cached_property
    def logits(self) -> NDArray[np.float32]:
        """(n, views, classes) the mean over the teachers."""
        return mean_logits(self.of_each, axis=0)

    def learned(self, config: StudentConfig, views: tuple[str, ...]) -> NDArray[np.float32]:
        """(n, views, classes) what a student learns of each item in `views`."""
        return labels_of_views(
            self.logits, given=self.views, wanted=views, label_views=config.label_views
        )

    @property
    def digest(self) -> str:
        """sha256 of the soft labels of each teacher, comma-separated."""
        return ", ".join(one.digest for one in self.soft_labels)


def main(arguments: list[str]) -> None:
    """The entry point."""
    given = parse_flags(__doc__, FLAGS, arguments)
    other, asked = given.pop(OTHER_SET), given.pop(VIEWS)
    scale = scale_from(given)
    views = _views(asked, scale)
    labelled = None if other == AUTO else open_set(Path(other), verify=True)
    check_teachers(scale)  # before hours of simulation
    run_id = take_over_run()
    data = ensure_data(scale)
    if labelled:
        check_alike(labelled, data.header)  # before hours of teacher
    teachers = ensure_teachers(scale, data)
    made = label(labelled or data, teachers, views=views, run_id=run_id)
    for soft_labels in made.soft_labels:
        print(f"soft labels: {soft_labels.logits.shape}, sha256 {soft_labels.digest[:12]}")


def views_for(config: StudentConfig) -> str:
    """In which views this student needs soft labels: IDENTITY, one pass of the teacher, or LEGAL.

    Each further legal view costs a pass over the set.
    """
    turned = config.label_views == "matching" and config.augment
    return LEGAL if turned or config.label_views == "mean" else IDENTITY


def label(
    data: SubtomogramSet,
    teachers: Sequence[Teacher],
    *,
    views: str,
    run_id: str | None = None,
) -> LabelledSet:
    """What these teachers say of a set, in `views`: IDENTITY or LEGAL."""
    run_ids = [None] * (len(teachers) - 1) + [run_id]  # the last's, as that of teachers
    found = [
        ensure_soft_labels(data, teacher, views=views, run_id=run_id)
        for teacher, run_id in zip(teachers, run_ids, strict=True)
    ]
    soft_labels, made_in = zip(*found, strict=True)
    return LabelledSet(data, soft_labels, made_in)


def ensure_soft_labels(
    data: SubtomogramSet, teacher: Teacher, *, views: str, run_id: str | None = None
) -> tuple[SoftLabels, str]:
    """The soft labels of this teacher over this set, made if they do not exist; and their run."""
    names = legal_views(data.columns["tilt_range"]) if views == LEGAL else (IDENTITY,)
    digest = phase_digest(
        packages=("distillation/soft_labels", "inference", "subtomograms"),
        teacher=teacher.digest,
        data=data.digest,
        views=names,
    )
    return ensure(
        "soft_labels",
        digest=digest,
        name=f"soft labels, {len(data.ids)} items, {len(names)} views",
        make=lambda: _make(data, teacher, names, _folder(digest)),
        load=lambda run: (_load(run, data, teacher, names), run.info.run_id),
        run_id=run_id,
    )


def _views(asked: str, scale: Scale) -> str:
    choices = {AUTO: views_for(scale.student), IDENTITY: IDENTITY, LEGAL: LEGAL}
    if asked not in choices:
        raise InputError(
            expected=f"{VIEWS}: {' or '.join(choices)}", found=repr(asked), todo="Choose one."
        )
    return choices[asked]


def _folder(digest: str) -> Path:
    """Where soft labels lie until their run has them, so that a kill loses one block at most."""
    everything = places.writable(places.soft_labels())
    remove_abandoned(everything, "*", after=UNFINISHED_SECONDS)
    return everything / digest[:16]


def _load(run: Run, data: SubtomogramSet, teacher: Teacher, views: tuple[str, ...]) -> SoftLabels:
    with tempfile.TemporaryDirectory() as folder:
        soft_labels = read_soft_labels(artifact(run, FILE, Path(folder)))
    names = read_manifest(teacher.folder).class_names
    soft_labels.check(teacher=teacher.digest, data=data.digest, class_names=names, views=views)
    return soft_labels


def _make(data: SubtomogramSet, teacher: Teacher, views: tuple[str, ...], folder: Path) -> None:
    log_set(data, "soft labels", teacher_model_id=teacher.model_id)
    classifier = Classifier.load(teacher.folder, precision=REFERENCE)
    check_alike(data, classifier.manifest)
    log_config(preprocessing=classifier.manifest.preprocessing)
    log_tags({"teacher": classifier.manifest.network})
    soft_labels = make_soft_labels(
        folder / FILE,
        data,
        classifier.logits,
        views=views,
        class_names=classifier.manifest.class_names,
        teacher_digest=teacher.digest,
    )
    log_file(folder / FILE)
    shutil.rmtree(folder)
    log_tags({"teacher.run_id": teacher.run_id, "soft_labels.sha256": soft_labels.digest})
    log_metrics({"items": len(data.ids), "views": len(views)})
