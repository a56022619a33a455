"""Phase 3: train a student on soft labels (or hard ones, as the control) and register it.

Phases that are missing run first: the set, the teacher, its soft labels.
"""

import keras
import numpy as np
from numpy.typing import NDArray

from entrypoints.flags import parse_flags, scale_flags, scale_from
from entrypoints.simulate import ensure_set
from entrypoints.soft_labels import ensure_soft_labels
from entrypoints.teacher import Teacher, ensure_teacher
from entrypoints.training import Trained, cost_of, evaluate_part, fit, make_manifest, record
from tomodistill.distillation.losses import accuracy, agreement, hard_label_loss, soft_label_loss
from tomodistill.distillation.soft_labels import SoftLabels
from tomodistill.evaluation import accuracy as decisions
from tomodistill.evaluation.accuracy import Evaluation
from tomodistill.evaluation.cost import accuracy_rate, compression_rate
from tomodistill.evaluation.speed import BATCH, paired_ratio
from tomodistill.inference.classifier import Classifier
from tomodistill.networks.build import build
from tomodistill.networks.table import NETWORKS, check_box
from tomodistill.scales import Scale
from tomodistill.subtomograms.dataset import SubtomogramSet
from tomodistill.tracking.flavor import LoggedVersion
from tomodistill.tracking.records import log_config, log_set, log_tags
from tomodistill.tracking.registry import STUDENTS, ResolvedVersion, register
from tomodistill.tracking.runs import phase_run, take_over_run

FLAGS = scale_flags("simulation", "preprocessing", "teacher", "student")


def main(arguments: list[str]) -> None:
    """The entry point."""
    scale, run_id = scale_from(parse_flags(__doc__, FLAGS, arguments)), take_over_run()
    check_box(NETWORKS[scale.student.student], scale.simulation.box)  # before hours of teacher
    data = ensure_set(scale)
    teacher = ensure_teacher(scale, data)
    soft_labels, labels_run_id = ensure_soft_labels(scale, data, teacher)
    lineage = _lineage(scale, data, teacher, soft_labels) | {"soft_labels.run_id": labels_run_id}
    metrics, registered = distill(scale, data, teacher, soft_labels, lineage, run_id=run_id)
    print(_summary(scale, metrics, registered))


def distill(
    scale: Scale,
    data: SubtomogramSet,
    teacher: Teacher,
    soft_labels: SoftLabels,
    lineage: dict[str, str],
    *,
    run_id: str | None = None,
) -> tuple[dict[str, float], ResolvedVersion | None]:
    """One student run: its metrics, and its registered version unless it is a control."""
    config = scale.student
    name = f"student {config.student} {config.labels} seed {config.seed}"
    with phase_run("distill", name=name, run_id=run_id):
        log_config(
            simulation=scale.simulation,
            preprocessing=scale.preprocessing,
            teacher=scale.teacher,
            student=config,
        )
        log_set(data, "training", teacher_model_id=teacher.model_id)
        log_tags(lineage)
        logits = soft_labels.join(data.ids.tolist(), class_names=data.header.class_names)[:, 0]
        trained = _train(scale, data, teacher, soft_labels, logits)
        metrics, logged = _record(trained, data, teacher, logits)
        if config.labels == "hard":
            return metrics, None  # a control is never registered
        return metrics, register(logged.model_id, digest=logged.digest, tags=lineage)


def _train(
    scale: Scale,
    data: SubtomogramSet,
    teacher: Teacher,
    soft_labels: SoftLabels,
    logits: NDArray[np.float32],
) -> Trained:
    config, header = scale.student, data.header
    keras.utils.set_random_seed(config.seed)
    model = build(config.student, box=header.box, classes=len(header.class_names))
    digests = {"teacher": teacher.digest, "soft_labels": soft_labels.digest}
    manifest = make_manifest(
        data,
        network=config.student,
        role="student",
        config=config,
        preprocessing=scale.preprocessing,
        digests=digests,
    )
    loss = soft_label_loss(config.temperature) if config.labels == "soft" else hard_label_loss
    return fit(
        model,
        data,
        manifest,
        config,
        teacher_logits=logits,
        loss=loss,
        metrics=[accuracy, agreement],
    )


def _record(
    trained: Trained, data: SubtomogramSet, teacher: Teacher, teacher_logits: NDArray[np.float32]
) -> tuple[dict[str, float], LoggedVersion]:
    loaded = Classifier.load(teacher.folder)
    metrics = cost_of(trained.model).metrics() | _speed(trained, loaded, data)
    metrics["compression_rate"] = compression_rate(
        teacher_parameters=int(loaded.manifest.metrics["cost/parameters"]),
        student_parameters=trained.model.count_params(),
    )
    _, of_val = _compare("val", trained, data, teacher_logits)
    test, of_test = _compare("test", trained, data, teacher_logits)
    metrics |= of_val | of_test | {"accuracy_rate": of_test["test/accuracy_rate"]}
    return metrics, record("student", trained, data, test=test, metrics=metrics)


def _compare(
    part: str, trained: Trained, data: SubtomogramSet, teacher_logits: NDArray[np.float32]
) -> tuple[Evaluation, dict[str, float]]:
    """The student over one part of the set, and its metrics beside the teacher's."""
    rows = data.rows(part)
    logits, of_teacher = trained.classifier.logits(data.volumes(rows)), teacher_logits[rows]
    evaluation, teacher = (evaluate_part(of, data, part) for of in (logits, of_teacher))
    rate = accuracy_rate(teacher_accuracy=teacher.accuracy, student_accuracy=evaluation.accuracy)
    beside = {
        f"{part}/agreement": decisions.agreement(logits, of_teacher),
        f"{part}/accuracy_rate": rate,
    }
    return evaluation, evaluation.metrics(part) | beside


def _speed(trained: Trained, teacher: Classifier, data: SubtomogramSet) -> dict[str, float]:
    """Both networks in one process: same engine, precision, box and volumes."""
    some = data.volumes(data.rows("val")[:BATCH])
    volumes = np.resize(some, (BATCH, *some.shape[1:]))  # a small set's repeat
    ratios = {
        name: paired_ratio(
            teacher=teacher.engine.logits,
            student=trained.classifier.engine.logits,
            volumes=volumes[:batch],
        )
        for name, batch in (("speedup", BATCH), ("latency_ratio", 1))
    }
    speedup = ratios["speedup"]
    quartiles = {"speed/speedup_lower": speedup.lower, "speed/speedup_upper": speedup.upper}
    return {name: ratio.median for name, ratio in ratios.items()} | quartiles


def _lineage(
    scale: Scale, data: SubtomogramSet, teacher: Teacher, soft_labels: SoftLabels
) -> dict[str, str]:
    """Searchable tags of the run and of the registered version."""
    return {
        "student": scale.student.student,
        "labels": scale.student.labels,
        "teacher": scale.teacher.teacher,
        "teacher.run_id": teacher.run_id,
        "teacher.model_id": teacher.model_id,
        "soft_labels.sha256": soft_labels.digest,
        "data.sha256": data.digest,
    }


def _summary(scale: Scale, metrics: dict[str, float], registered: ResolvedVersion | None) -> str:
    low, high = metrics["test/accuracy_low"], metrics["test/accuracy_high"]
    kept = f"version {registered.version} of {STUDENTS}" if registered else "a control, not kept"
    return (
        f"{scale.student.student} on {scale.student.labels} labels: "
        f"accuracy {metrics['test/accuracy']:.3f} (95 % {low:.3f}-{high:.3f}, "
        f"{metrics['test/items']:.0f} test items), accuracy_rate {metrics['accuracy_rate']:.3f}, "
        f"compression_rate {metrics['compression_rate']:.1f}, speedup {metrics['speedup']:.2f}; "
        f"{kept}"
    )
