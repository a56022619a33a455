"""Phase 3: train a student on soft labels, of the training part and of transfer sets; register it.

With labels=hard it is the control: the training part alone, for as many epochs, never registered.
Phases that are missing run first: the sets, the teachers, their soft labels.
"""

from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np

from entrypoints.confidence import SOURCES as OF_CONFIDENCE
from entrypoints.confidence import check_held_out, with_confidence
from entrypoints.engines import exported
from entrypoints.flags import parse_flags, scale_flags, scale_from
from entrypoints.measure import measure
from entrypoints.training import SOURCES, Trained, fit, make_manifest, record
from entrypoints.training_data import data_config
from entrypoints.upstream import Upstream, as_trained, check_upstream, ensure_upstream
from tomodistill.distillation.config import StudentConfig
from tomodistill.distillation.losses import (
    Loss,
    accuracy,
    agreement,
    hard_label_loss,
    soft_label_loss,
)
from tomodistill.distillation.parts import training_views
from tomodistill.evaluation.comparison import Result, summary
from tomodistill.inference.version import Manifest
from tomodistill.networks.build import build
from tomodistill.networks.table import check_box, network, seen_by
from tomodistill.scales import Scale
from tomodistill.subtomograms.contents import check_new
from tomodistill.tracking.provenance import phase_digest
from tomodistill.tracking.records import log_config, log_description, log_set, log_tags
from tomodistill.tracking.registry import CLASS_NAMES, STUDENTS, register
from tomodistill.tracking.results import VERSION, result_of
from tomodistill.tracking.reuse import ensure
from tomodistill.tracking.runs import take_over_run

FLAGS = scale_flags("data", "simulation", "preprocessing", "teacher", "student", "confidence")


def main(arguments: list[str]) -> None:
    """The entry point."""
    scale = scale_from(parse_flags(__doc__, FLAGS, arguments))
    check_student(scale)
    check_upstream(scale)
    check_held_out(scale)
    run_id = take_over_run()
    result = ensure_student(ensure_upstream(scale), scale.student, run_id=run_id)
    version = f"version {result.version} of {STUDENTS}"
    kept = version if result.version else "a control, never registered"
    print(f"{result.network} on {result.labels} labels: {summary(result)}; {kept}")


def check_student(scale: Scale) -> None:
    """Raises InputError for a box too small for the student, before hours of teacher."""
    box = scale.preprocessing.edge(scale.simulation.box)
    check_box(network(scale.student.student), box)


def ensure_student(
    upstream: Upstream, config: StudentConfig, *, run_id: str | None = None
) -> Result:
    """What this student reached, trained if it does not exist; registered unless a control."""
    held_out = upstream.held_out  # before the student's run opens
    if held_out and config.labels == "soft":
        check_new([of.data for of in upstream.transfer], to=held_out)
    digest = phase_digest(
        packages=OF_CONFIDENCE,
        student=student_digest(upstream, config),
        confidence=upstream.scale.confidence,
        held_out=held_out.digest if held_out else None,
    )
    return ensure(
        "distill",
        digest=digest,
        name=f"{config.student} {config.labels} labels, seed {config.seed}",
        make=lambda: _distill(upstream, as_trained(config)),
        load=result_of,
        run_id=run_id,
    )


def student_digest(upstream: Upstream, config: StudentConfig) -> str:
    """sha256 over all that a student is made from: the same, no training again."""
    return phase_digest(
        packages=SOURCES,
        config=replace(as_trained(config), transfer=""),  # its digests count, not its paths
        preprocessing=upstream.scale.preprocessing,
        data=upstream.data.digest,
        **upstream.digests(config),
    )


def train_student(upstream: Upstream, config: StudentConfig) -> Trained:
    """A student on what `upstream` has, whose transfer sets and views are those of `config`."""
    config, preprocessing = as_trained(config), upstream.scale.preprocessing
    data, views = upstream.data, training_views(upstream.data, config)
    box, classes = preprocessing.edge(data.header.box), len(data.header.class_names)
    keras.utils.set_random_seed(config.seed)
    return fit(
        build(config.student, box=box, classes=classes),
        data,
        _manifest(upstream, config),
        config,
        teacher_logits=upstream.labelled.learned(config, views),
        loss=_loss(config),
        metrics=[accuracy, agreement],
        transfer=[(of.data, of.learned(config, views)) for of in upstream.transfer_of(config)],
    )


def _loss(config: StudentConfig) -> Loss:
    if config.labels == "hard":
        return hard_label_loss
    return soft_label_loss(config.temperature, loss=config.loss, hard_weight=config.hard_weight)


def _manifest(upstream: Upstream, config: StudentConfig) -> Manifest:
    """What is known before training; its ranges are those of all that is learned from."""
    common, box = upstream.scale.preprocessing, upstream.data.header.box
    manifest = make_manifest(
        upstream.data,
        network=config.student,
        role="student",
        config=config,
        preprocessing=seen_by(network(config.student), common, box),
        digests=upstream.digests(config),
    )
    sets = [upstream.data, *(of.data for of in upstream.transfer_of(config))]
    return replace(
        manifest,
        tilt_range=_widest([of.tilt_range for of in sets]),
        snr_range=_widest([of.snr_range for of in sets]),
    )


def _widest(ranges: Sequence[tuple[float, float]]) -> tuple[float, float]:
    lows, highs = np.transpose(ranges)  # NaN: a set of which it is not known
    return float(np.fmin.reduce(lows)), float(np.fmax.reduce(highs))


def _distill(upstream: Upstream, config: StudentConfig) -> None:
    _describe(upstream, config)
    trained, confidence = with_confidence(
        train_student(upstream, config), upstream.scale, upstream.data, upstream.held_out
    )
    name = f"{config.student}-{config.labels}".replace(".", "_")  # as MLflow will have it
    with exported(trained.model, trained.classifier, upstream.data) as engines:
        test, metrics = measure(trained, engines, upstream, config)
        metrics |= confidence | {"train/items": _items(upstream, config)}
        logged = record(name, trained, upstream.data, engines=engines, test=test, metrics=metrics)
    reached = summary(Result(config.student, "student", config.labels, metrics))
    log_description(reached)
    if config.labels == "soft":  # a control is never registered
        registered = register(
            logged.model_id,
            digest=logged.digest,
            tags=lineage(upstream, config),
            description=reached,
        )
        log_tags({VERSION: registered.version})


def _items(upstream: Upstream, config: StudentConfig) -> int:
    """How many the student learned from."""
    transfer = (len(of.data.ids) for of in upstream.transfer_of(config))
    own = upstream.data.rows if config.labels == "soft" else upstream.data.labelled_rows
    return len(own("train")) + sum(transfer)


def _describe(upstream: Upstream, config: StudentConfig) -> None:
    scale = upstream.scale
    log_config(
        **data_config(scale),
        preprocessing=scale.preprocessing,
        teacher=scale.teacher,
        student=config,
        confidence=scale.confidence,
    )
    for teacher in upstream.teachers:
        log_set(upstream.data, "training", teacher_model_id=teacher.model_id)
    for of in upstream.transfer_of(config):
        log_set(of.data, "transfer")
    log_tags(lineage(upstream, config))


def lineage(upstream: Upstream, config: StudentConfig) -> dict[str, str]:
    """Searchable tags of the run and of the registered version."""
    learned = {f"{name}.sha256": digest for name, digest in upstream.digests(config).items()}
    del learned["teacher.sha256"]  # its model has one
    if config.labels == "soft":
        labelled = (upstream.labelled, *upstream.transfer)
        learned["soft_labels.run_id"] = ", ".join(id for of in labelled for id in of.run_ids)
    return learned | {
        "student": config.student,
        "labels": config.labels,
        "teacher": upstream.scale.teacher.teacher,
        "teacher.run_id": upstream.teacher.run_id,
        "teacher.model_id": upstream.teacher.model_id,
        "data.sha256": upstream.data.digest,
        CLASS_NAMES: ", ".join(upstream.data.header.class_names),
    }
