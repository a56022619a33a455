"""Phase 2: the teacher's logits over a set, labelled or not, as an artifact joined by id."""

import tempfile
from pathlib import Path

from entrypoints.flags import parse_flags, scale_flags, scale_from
from entrypoints.simulate import ensure_set
from entrypoints.teacher import Teacher, ensure_teacher
from tomodistill.distillation.soft_labels import (
    SoftLabels,
    make_soft_labels,
    read_soft_labels,
    write_soft_labels,
)
from tomodistill.errors import InputError
from tomodistill.inference.classifier import Classifier
from tomodistill.inference.version import Manifest, read_manifest
from tomodistill.scales import AUTO, Scale
from tomodistill.subtomograms.dataset import UNLABELLED, SubtomogramSet, open_set
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
FLAGS = {**scale_flags("simulation", "preprocessing", "teacher"), OTHER_SET: AUTO}
FILE = "soft_labels.h5"
VIEWS = ("identity",)  # each further legal view costs the teacher a pass over the set


def main(arguments: list[str]) -> None:
    """The entry point."""
    given = parse_flags(__doc__, FLAGS, arguments)
    other, scale = given.pop(OTHER_SET), scale_from(given)
    labelled = None if other == AUTO else open_set(Path(other), verify=True)
    run_id = take_over_run()
    data = ensure_set(scale)
    teacher = ensure_teacher(scale, data)
    soft_labels, _ = ensure_soft_labels(scale, labelled or data, teacher, run_id=run_id)
    print(f"soft labels: {soft_labels.logits.shape}, sha256 {soft_labels.digest[:12]}")


def ensure_soft_labels(
    scale: Scale, data: SubtomogramSet, teacher: Teacher, *, run_id: str | None = None
) -> tuple[SoftLabels, str]:
    """The soft labels of this teacher over this set, made if they do not exist; and their run."""
    digest = phase_digest(
        packages=("distillation", "inference", "subtomograms"),
        teacher=teacher.digest,
        data=data.digest,
        views=VIEWS,
    )
    return ensure(
        "soft_labels",
        digest=digest,
        name=f"soft labels, {len(data.ids)} items",
        make=lambda: _make(scale, data, teacher),
        load=lambda run: (_load(run, data, teacher), run.info.run_id),
        run_id=run_id,
    )


def _load(run: Run, data: SubtomogramSet, teacher: Teacher) -> SoftLabels:
    with tempfile.TemporaryDirectory() as folder:
        soft_labels = read_soft_labels(artifact(run, FILE, Path(folder)))
    names = read_manifest(teacher.folder).class_names
    soft_labels.check(teacher=teacher.digest, data=data.digest, class_names=names)
    return soft_labels


def _make(scale: Scale, data: SubtomogramSet, teacher: Teacher) -> None:
    log_config(preprocessing=scale.preprocessing, teacher=scale.teacher)
    log_set(data, "soft labels", teacher_model_id=teacher.model_id)
    classifier = Classifier.load(teacher.folder)
    _check(data, classifier.manifest)
    soft_labels = make_soft_labels(
        data,
        classifier.logits,
        views=VIEWS,
        class_names=classifier.manifest.class_names,
        teacher_digest=teacher.digest,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, FILE)
        write_soft_labels(path, soft_labels)
        log_file(path)
    log_tags({"teacher.run_id": teacher.run_id, "soft_labels.sha256": soft_labels.digest})
    log_metrics({"items": len(data.ids)})


def _check(data: SubtomogramSet, manifest: Manifest) -> None:
    """Raises InputError unless the set is of the kind the teacher was trained on."""
    labelled = bool((data.labels != UNLABELLED).any())
    of_labels = ("class_names",) if labelled else ()
    for name in ("box", "voxel_spacing", "contrast", *of_labels):
        wanted, found = getattr(manifest, name), getattr(data.header, name)
        if wanted != found:
            raise InputError(
                expected=f"a set with the teacher's {name}, {wanted}",
                found=f"{found} in {data.path}",
                todo="Label a set that matches, or train a teacher on one like it.",
            )
