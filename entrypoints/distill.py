"""Phase 3: train a student on soft labels (or hard ones, as the control) and register it.

Phases that are missing run first: the set, the teacher, its soft labels.
"""

import keras
import numpy as np

from entrypoints.flags import parse_flags, scale_flags, scale_from
from entrypoints.training import (
    SOURCES,
    Trained,
    cost_of,
    evaluate_part,
    fit,
    make_manifest,
    record,
)
from entrypoints.upstream import Upstream, ensure_upstream
from tomodistill.distillation.config import StudentConfig
from tomodistill.distillation.losses import accuracy, agreement, hard_label_loss, soft_label_loss
from tomodistill.evaluation import accuracy as decisions
from tomodistill.evaluation.accuracy import Evaluation
from tomodistill.evaluation.comparison import Result, summary
from tomodistill.evaluation.cost import accuracy_rate, compression_rate
from tomodistill.evaluation.speed import BATCH, paired_ratio
from tomodistill.inference.classifier import Classifier
from tomodistill.networks.build import build
from tomodistill.networks.table import NETWORKS, check_box
from tomodistill.subtomograms.dataset import SubtomogramSet
from tomodistill.tracking.provenance import phase_digest
from tomodistill.tracking.records import log_config, log_description, log_set, log_tags
from tomodistill.tracking.registry import CLASS_NAMES, STUDENTS, register
from tomodistill.tracking.results import VERSION, result_of
from tomodistill.tracking.reuse import ensure
from tomodistill.tracking.runs import take_over_run

FLAGS = scale_flags("simulation", "preprocessing", "teacher", "student")


def main(arguments: list[str]) -> None:
    """The entry point."""
    scale, run_id = scale_from(parse_flags(__doc__, FLAGS, arguments)), take_over_run()
    check_box(NETWORKS[scale.student.student], scale.simulation.box)  # before hours of teacher
    result = ensure_student(ensure_upstream(scale), scale.student, run_id=run_id)
    version = f"version {result.version} of {STUDENTS}"
    kept = version if result.version else "a control, never registered"
    print(f"{result.network} on {result.labels} labels: {summary(result)}; {kept}")


def ensure_student(
    upstream: Upstream, config: StudentConfig, *, run_id: str | None = None
) -> Result:
    """What this student reached, trained if it does not exist; registered unless a control."""
    digest = phase_digest(
        packages=SOURCES,
        config=config,
        preprocessing=upstream.scale.preprocessing,
        data=upstream.data.digest,
        **upstream.digests,
    )
    return ensure(
        "distill",
        digest=digest,
        name=f"{config.student} {config.labels} labels, seed {config.seed}",
        make=lambda: _distill(upstream, config),
        load=result_of,
        run_id=run_id,
    )


def _distill(upstream: Upstream, config: StudentConfig) -> None:
    _describe(upstream, config)
    trained = _train(upstream, config)
    test, metrics = _measure(trained, upstream)
    name = f"{config.student}-{config.labels}"
    logged = record(name, trained, upstream.data, test=test, metrics=metrics)
    reached = summary(Result(config.student, "student", config.labels, metrics))
    log_description(reached)
    if config.labels == "soft":  # a control is never registered
        lineage = _lineage(upstream, config)
        registered = register(
            logged.model_id, digest=logged.digest, tags=lineage, description=reached
        )
        log_tags({VERSION: registered.version})


def _describe(upstream: Upstream, config: StudentConfig) -> None:
    scale = upstream.scale
    log_config(
        simulation=scale.simulation,
        preprocessing=scale.preprocessing,
        teacher=scale.teacher,
        student=config,
    )
    log_set(upstream.data, "training", teacher_model_id=upstream.teacher.model_id)
    log_tags(_lineage(upstream, config))


def _lineage(upstream: Upstream, config: StudentConfig) -> dict[str, str]:
    """Searchable tags of the run and of the registered version."""
    return {
        "student": config.student,
        "labels": config.labels,
        "teacher": upstream.scale.teacher.teacher,
        "teacher.run_id": upstream.teacher.run_id,
        "teacher.model_id": upstream.teacher.model_id,
        "soft_labels.run_id": upstream.soft_labels_run_id,
        "soft_labels.sha256": upstream.soft_labels.digest,
        "data.sha256": upstream.data.digest,
        CLASS_NAMES: ", ".join(upstream.data.header.class_names),
    }


def _train(upstream: Upstream, config: StudentConfig) -> Trained:
    data = upstream.data
    keras.utils.set_random_seed(config.seed)
    model = build(config.student, box=data.header.box, classes=len(data.header.class_names))
    manifest = make_manifest(
        data,
        network=config.student,
        role="student",
        config=config,
        preprocessing=upstream.scale.preprocessing,
        digests=upstream.digests,
    )
    loss = soft_label_loss(config.temperature) if config.labels == "soft" else hard_label_loss
    return fit(
        model,
        data,
        manifest,
        config,
        teacher_logits=upstream.teacher_logits,
        loss=loss,
        metrics=[accuracy, agreement],
    )


def _measure(trained: Trained, upstream: Upstream) -> tuple[Evaluation, dict[str, float]]:
    """Accuracy, cost and speed beside the teacher's."""
    teacher = Classifier.load(upstream.teacher.folder)
    metrics = cost_of(trained.model).metrics() | _speed(trained, teacher, upstream.data)
    metrics["compression_rate"] = compression_rate(
        teacher_parameters=int(teacher.manifest.metrics["cost/parameters"]),
        student_parameters=trained.model.count_params(),
    )
    _, of_val = _compare("val", trained, upstream)
    test, of_test = _compare("test", trained, upstream)
    return test, metrics | of_val | of_test | {"accuracy_rate": of_test["test/accuracy_rate"]}


def _compare(
    part: str, trained: Trained, upstream: Upstream
) -> tuple[Evaluation, dict[str, float]]:
    """The student over one part of the set, and its metrics beside the teacher's."""
    data = upstream.data
    rows = data.rows(part)
    logits = trained.classifier.logits(data.volumes(rows))
    of_teacher = upstream.teacher_logits[rows]
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
