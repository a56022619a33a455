"""Phase 1: train a teacher on hard labels, or find the one that exists.

Several names, as in teacher=dsrf3d_v2,rb3d, are an ensemble; models:/NAME/3 is a Keras classifier
that someone else registered.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from entrypoints.adoption import adopt, check_classes
from entrypoints.engines import exported
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
from entrypoints.training_data import data_config, ensure_data
from tomodistill import places
from tomodistill.distillation.config import is_registered, members
from tomodistill.distillation.losses import accuracy, hard_label_loss
from tomodistill.distillation.parts import training_views
from tomodistill.evaluation.baseline import power_spectrum_accuracy
from tomodistill.networks.build import build
from tomodistill.networks.table import check_box, network
from tomodistill.scales import Scale
from tomodistill.subtomograms.dataset import SubtomogramSet
from tomodistill.tracking.adoption import Registered, find_registered
from tomodistill.tracking.provenance import phase_digest
from tomodistill.tracking.records import log_config, log_set, log_tags
from tomodistill.tracking.registry import download
from tomodistill.tracking.reuse import ensure
from tomodistill.tracking.runs import Run, take_over_run
from tomodistill.tracking.versions import DIGEST_TAG, ResolvedVersion

FLAGS = scale_flags("data", "simulation", "preprocessing", "teacher")


@dataclass(frozen=True)
class Teacher:
    """A finished teacher: its run, its model in MLflow, its version folder here."""

    run_id: str
    model_id: str
    digest: str  # sha256 of its manifest
    folder: Path


def main(arguments: list[str]) -> None:
    """The entry point."""
    scale, run_id = scale_from(parse_flags(__doc__, FLAGS, arguments)), take_over_run()
    check_teachers(scale)  # before hours of simulation
    for teacher in ensure_teachers(scale, ensure_data(scale), run_id=run_id):
        print(f"teacher: run {teacher.run_id}, version folder {teacher.folder}")


def check_teachers(scale: Scale, data: SubtomogramSet | None = None) -> None:
    """Raises InputError if a teacher does not fit the volumes of this scale, or is not there.

    With `data`, also if one that is registered knows other classes.
    """
    for config in members(scale.teacher):
        if not is_registered(config.teacher):
            check_box(network(config.teacher), scale.preprocessing.edge(scale.simulation.box))
            continue
        registered = find_registered(config.teacher)
        if data:
            check_classes(registered, data)


def ensure_teachers(
    scale: Scale, data: SubtomogramSet, *, run_id: str | None = None
) -> tuple[Teacher, ...]:
    """Every teacher that the scale names, in its order; those missing are trained.

    Raises InputError as `check_teachers` does, before the first is trained.
    """
    check_teachers(scale, data)
    *others, last = (replace(scale, teacher=config) for config in members(scale.teacher))
    # The run of `mlflow run` is for the last: it counts as failed if something fails after it.
    return (
        *(ensure_teacher(one, data) for one in others),
        ensure_teacher(last, data, run_id=run_id),
    )


def ensure_teacher(scale: Scale, data: SubtomogramSet, *, run_id: str | None = None) -> Teacher:
    """The one teacher of this configuration and set; trained, or adopted, if it does not exist."""
    config = scale.teacher
    if is_registered(config.teacher):
        return _ensure_adopted(scale, data, run_id)
    return _ensure(
        scale,
        data,
        name=f"{config.teacher}, {_classes(data)}, seed {config.seed}",
        make=lambda: _train(scale, data),
        run_id=run_id,
        config=config,
    )


def _ensure_adopted(scale: Scale, data: SubtomogramSet, run_id: str | None) -> Teacher:
    registered = find_registered(scale.teacher.teacher)
    check_classes(registered, data)
    return _ensure(
        scale,
        data,
        name=f"{registered.uri}, {_classes(data)}",
        make=lambda: _adopt(registered, scale, data),
        run_id=run_id,
        model=registered.model_id,
        class_names=registered.class_names,
    )


def _ensure(
    scale: Scale,
    data: SubtomogramSet,
    *,
    name: str,
    make: Callable[[], None],
    run_id: str | None,
    **made_of: Any,
) -> Teacher:
    digest = phase_digest(
        packages=SOURCES, data=data.digest, preprocessing=scale.preprocessing, **made_of
    )
    return ensure(
        "teacher", digest=digest, name=f"teacher {name}", make=make, load=_load, run_id=run_id
    )


def _classes(data: SubtomogramSet) -> str:
    return f"{len(data.header.class_names)} classes"


def _adopt(registered: Registered, scale: Scale, data: SubtomogramSet) -> None:
    _describe(scale, data, name=registered.uri)
    trained = adopt(registered, scale, data)
    log_config(preprocessing=trained.classifier.manifest.preprocessing)
    log_tags({"adopted.model_id": registered.model_id})
    _record("adopted", trained, scale, data)


def _train(scale: Scale, data: SubtomogramSet) -> None:
    config, header = scale.teacher, data.header
    _describe(scale, data, name=config.teacher)
    log_config(preprocessing=scale.preprocessing, teacher=config)
    keras.utils.set_random_seed(config.seed)
    box, classes = scale.preprocessing.edge(header.box), len(header.class_names)
    model = build(config.teacher, box=box, classes=classes, dropout=config.dropout)
    manifest = make_manifest(
        data,
        network=config.teacher,
        role="teacher",
        config=config,
        preprocessing=scale.preprocessing,
        digests={},
    )
    no_teacher = np.zeros((len(data.ids), len(training_views(data, config)), classes), np.float32)
    trained = fit(
        model,
        data,
        manifest,
        config,
        teacher_logits=no_teacher,
        loss=hard_label_loss,
        metrics=[accuracy],
    )
    _record(config.teacher, trained, scale, data)


def _describe(scale: Scale, data: SubtomogramSet, *, name: str) -> None:
    places.writable(places.models())
    log_config(**data_config(scale))
    log_set(data, "training")
    log_tags({"teacher": name, "labels": "hard", "data.sha256": data.digest})


def _record(name: str, trained: Trained, scale: Scale, data: SubtomogramSet) -> None:
    """What it reaches, and its version, into the active run."""
    parts = {
        part: evaluate_part(trained.classifier.logits(data.volumes(data.rows(part))), data, part)
        for part in ("val", "test")
    }
    metrics = cost_of(trained.model).metrics()
    for part, evaluation in parts.items():
        metrics |= evaluation.metrics(part)
    metrics["test/power_spectrum_accuracy"] = _control(scale, data)
    with exported(trained.model, trained.classifier, data) as engines:
        logged = record(name, trained, data, engines=engines, test=parts["test"], metrics=metrics)
    log_tags({"model.id": logged.model_id, DIGEST_TAG: logged.digest})


def _control(scale: Scale, data: SubtomogramSet) -> float:
    """What power spectra alone give away of the same volumes: a network must do better."""
    train, test = data.labelled_rows("train"), data.rows("test")
    return power_spectrum_accuracy(
        train_volumes=data.preprocessed(train, scale.preprocessing),
        train_labels=data.labels[train],
        test_volumes=data.preprocessed(test, scale.preprocessing),
        test_labels=data.labels[test],
    )


def _load(run: Run) -> Teacher:
    tags = run.data.tags
    model_id, digest = tags["model.id"], tags[DIGEST_TAG]
    version = ResolvedVersion(
        "teacher", model_id, uri=f"models:/{model_id}", tags={DIGEST_TAG: digest}
    )
    return Teacher(run.info.run_id, model_id, digest, download(version, places.models()))
