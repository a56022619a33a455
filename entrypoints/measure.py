"""A student beside its teachers, of which the first is the reference: accuracy, cost and speed."""

import numpy as np

from entrypoints.training import Trained, cost_of, evaluate_part
from entrypoints.upstream import Upstream
from tomodistill.distillation.config import StudentConfig
from tomodistill.distillation.parts import training_views
from tomodistill.evaluation.accuracy import Evaluation, agreement
from tomodistill.evaluation.cost import accuracy_rate, compression_rate
from tomodistill.evaluation.speed import BATCH, paired_ratio
from tomodistill.inference.classifier import Classifier
from tomodistill.subtomograms.dataset import SubtomogramSet


def measure(
    trained: Trained, upstream: Upstream, config: StudentConfig
) -> tuple[Evaluation, dict[str, float]]:
    """The student over the test part, and everything that was measured of it as metrics."""
    teacher = Classifier.load(upstream.teacher.folder)
    metrics = cost_of(trained.model).metrics() | _speed(trained, teacher, upstream.data)
    metrics["compression_rate"] = compression_rate(
        teacher_parameters=int(teacher.manifest.metrics["cost/parameters"]),
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
    rate = accuracy_rate(teacher_accuracy=reference.accuracy, student_accuracy=evaluation.accuracy)
    beside = {f"{part}/agreement": agreement(logits, learned), f"{part}/accuracy_rate": rate}
    if len(upstream.teachers) > 1:
        beside[f"{part}/ensemble_accuracy"] = ensemble.accuracy
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
