"""Phase 1: train a teacher on hard labels, or find the one that exists."""

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from entrypoints.flags import parse_flags, scale_flags, scale_from
from entrypoints.simulate import ensure_set
from entrypoints.training import SOURCES, cost_of, evaluate_part, fit, make_manifest, record
from tomodistill import places
from tomodistill.distillation.losses import accuracy, hard_label_loss
from tomodistill.evaluation.baseline import power_spectrum_accuracy
from tomodistill.networks.build import build
from tomodistill.scales import Scale
from tomodistill.subtomograms.dataset import SubtomogramSet
from tomodistill.tracking.provenance import phase_digest
from tomodistill.tracking.records import log_config, log_set, log_tags
from tomodistill.tracking.registry import DIGEST_TAG, ResolvedVersion, download
from tomodistill.tracking.reuse import ensure
from tomodistill.tracking.runs import Run, take_over_run

FLAGS = scale_flags("simulation", "preprocessing", "teacher")


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
    teacher = ensure_teacher(scale, ensure_set(scale), run_id=run_id)
    print(f"teacher: run {teacher.run_id}, version folder {teacher.folder}")


def ensure_teacher(scale: Scale, data: SubtomogramSet, *, run_id: str | None = None) -> Teacher:
    """The teacher of this configuration and set, trained if it does not exist."""
    config = scale.teacher
    digest = phase_digest(
        packages=SOURCES, data=data.digest, config=config, preprocessing=scale.preprocessing
    )
    name = f"teacher {config.teacher}, {len(data.header.class_names)} classes, seed {config.seed}"
    return ensure(
        "teacher",
        digest=digest,
        name=name,
        make=lambda: _train(scale, data),
        load=_load,
        run_id=run_id,
    )


def _train(scale: Scale, data: SubtomogramSet) -> None:
    config, header = scale.teacher, data.header
    places.writable(places.models())
    log_config(simulation=scale.simulation, preprocessing=scale.preprocessing, teacher=config)
    log_set(data, "training")
    log_tags({"teacher": config.teacher, "labels": "hard", "data.sha256": data.digest})
    keras.utils.set_random_seed(config.seed)
    classes = len(header.class_names)
    model = build(config.teacher, box=header.box, classes=classes, dropout=config.dropout)
    manifest = make_manifest(
        data,
        network=config.teacher,
        role="teacher",
        config=config,
        preprocessing=scale.preprocessing,
        digests={},
    )
    no_teacher = np.zeros((len(data.ids), classes), np.float32)
    trained = fit(
        model,
        data,
        manifest,
        config,
        teacher_logits=no_teacher,
        loss=hard_label_loss,
        metrics=[accuracy],
    )
    parts = {
        part: evaluate_part(trained.classifier.logits(data.volumes(data.rows(part))), data, part)
        for part in ("val", "test")
    }
    metrics = cost_of(model).metrics()
    for part, evaluation in parts.items():
        metrics |= evaluation.metrics(part)
    metrics["test/power_spectrum_accuracy"] = _control(scale, data)
    logged = record(config.teacher, trained, data, test=parts["test"], metrics=metrics)
    log_tags({"model.id": logged.model_id, DIGEST_TAG: logged.digest})


def _control(scale: Scale, data: SubtomogramSet) -> float:
    """What power spectra alone give away of the same volumes: a network must do better."""
    train, test = data.rows("train"), data.rows("test")
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
