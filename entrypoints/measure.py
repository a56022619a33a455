"""A student beside its teachers, of which the first is the reference: accuracy, cost and speed."""

from dataclasses import replace

import numpy as np

from entrypoints.engines import Exported
from entrypoints.training import Trained, cost_of, evaluate_part
from entrypoints.upstream import Upstream
from tomodistill.distillation.config import StudentConfig
from tomodistill.distillation.parts import training_views
from tomodistill.evaluation.accuracy import Evaluation, accuracy_rate_interval, agreement
from tomodistill.evaluation.cost import compression_rate
from tomodistill.evaluation.speed import BATCH, Ratio, paired_ratio
from tomodistill.inference.classifier import Classifier
from tomodistill.inference.engines import REFERENCE, Engine
from tomodistill.inference.version import Manifest, read_manifest


def measure(
    trained: Trained, engines: Exported, upstream: Upstream, config: StudentConfig
) -> tuple[Evaluation, dict[str, float]]:
    """The student over the test part, and everything that was measured of it as metrics."""
    teacher = read_manifest(upstream.teacher.folder)
    metrics = cost_of(trained.model).metrics() | measure_speed(trained, engines, upstream)
    metrics["compression_rate"] = compression_rate(
        teacher_parameters=int(teacher.metrics["cost/parameters"]),
        student_parameters=trained.model.count_params(),
    )
    _, of_val = compare("val", trained, upstream, config)
    test, of_test = compare("test", trained, upstream, config)
    return test, metrics | of_val | of_test | {"accuracy_rate": of_test["test/accuracy_rate"]}


def compare(
    part: str, trained: Trained, upstream: Upstream, config: StudentConfig
) -> tuple[Evaluation, dict[str, float]]:
    """The student over one part of the set, and its metrics beside the teachers'."""
    data, labelled = upstream.data, upstream.labelled
    rows = data.rows(part)
    logits = trained.classifier.logits(data.volumes(rows))
    learned = labelled.learned(config, training_views(data, config))[rows, 0]
    evaluation, reference, ensemble = (
        evaluate_part(of, data, part)
        for of in (logits, labelled.of_each[0, rows, 0], labelled.logits[rows, 0])
    )
    student, teacher = (of.decisions == data.labels[rows] for of in (evaluation, reference))
    rate = accuracy_rate_interval(student=student, teacher=teacher)
    ends = ("accuracy_rate", "accuracy_rate_low", "accuracy_rate_high")
    beside = {f"{part}/{name}": value for name, value in zip(ends, rate, strict=True)}
    beside[f"{part}/agreement"] = agreement(logits, learned)
    if len(upstream.teachers) > 1:
        beside[f"{part}/ensemble_accuracy"] = ensemble.accuracy
    return evaluation, evaluation.metrics(part) | beside


def measure_speed(trained: Trained, engines: Exported, upstream: Upstream) -> dict[str, float]:
    """Teacher time over student time, from stored volumes to logits, both in this process.

    The same engine runs both: OpenVINO where both passed in it, else Keras; in float32, and the
    student once more in bfloat16 if it passed. `engines` are those that `exported` gives.
    """
    data, folder = upstream.data, upstream.teacher.folder
    some = data.volumes(data.rows("val")[:BATCH])
    volumes = np.resize(some, (BATCH, *some.shape[1:]))  # a small set's repeat
    name, student = _engine_of_both(trained, engines, read_manifest(folder))
    teacher = Classifier.load(folder, engine=name, precision=REFERENCE)

    def ratio(student: Engine, batch: int = BATCH) -> Ratio:
        classifier = replace(trained.classifier, engine=student)
        return paired_ratio(
            teacher=teacher.logits, student=classifier.logits, volumes=volumes[:batch]
        )

    speedup, latency = ratio(student), ratio(student, batch=1)
    metrics = {"speedup": speedup.median, "latency_ratio": latency.median}
    metrics |= {"speed/speedup_lower": speedup.lower, "speed/speedup_upper": speedup.upper}
    if reduced := engines.passed(name, "bfloat16"):
        metrics["speed/bfloat16"] = ratio(reduced).median
    return metrics


def _engine_of_both(trained: Trained, engines: Exported, teacher: Manifest) -> tuple[str, Engine]:
    """Name of the engine that runs teacher and student, and the student's."""
    student = engines.passed("openvino", REFERENCE)
    if student and teacher.engines.get("openvino", {}).get(REFERENCE, {}).get("passed"):
        return student.name, student
    return trained.classifier.engine.name, trained.classifier.engine
