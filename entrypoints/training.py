"""What the two trainings share: parts of a set, fitting, evaluating, recording."""

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from entrypoints.engines import Exported
from tomodistill import places
from tomodistill.distillation.checkpoint import Checkpoint
from tomodistill.distillation.config import Training
from tomodistill.distillation.losses import Loss, hard_label_loss
from tomodistill.distillation.parts import Part, join_parts, training_views
from tomodistill.distillation.training import History, train
from tomodistill.errors import InputError
from tomodistill.evaluation.accuracy import Evaluation, evaluate
from tomodistill.evaluation.cost import Cost
from tomodistill.evaluation.figures import confusion_figure, curves_figure
from tomodistill.evaluation.table import Column, Table
from tomodistill.inference.classifier import Classifier
from tomodistill.inference.keras_engine import KerasEngine
from tomodistill.inference.version import Manifest, write_version
from tomodistill.networks.build import gflop
from tomodistill.subtomograms.dataset import SubtomogramSet
from tomodistill.subtomograms.mixing import rows_of_sources
from tomodistill.subtomograms.preprocessing import Preprocessing
from tomodistill.tracking.flavor import LoggedVersion, log_version
from tomodistill.tracking.provenance import phase_digest
from tomodistill.tracking.records import log_figure, log_metrics, log_report, log_text
from tomodistill.tracking.results import DECISIONS

# With another source of these packages and modules a network is trained again. The entry points
# themselves do not count.
SOURCES = (
    "networks",
    "distillation",
    "subtomograms",
    "inference",
    "simulation/wedge",  # through which augmentation passes its noise
    *(f"evaluation/{module}" for module in ("accuracy", "baseline", "cost", "speed")),
)
PROBES = 4  # volumes that travel with a version for its self-test

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Trained:
    """A network after training, as everything later sees it."""

    classifier: Classifier
    model: keras.Model
    history: History
    checkpoint: Checkpoint | None = None  # which `record` removes


def make_manifest(
    data: SubtomogramSet,
    *,
    network: str,
    role: str,
    config: Training,
    preprocessing: Preprocessing,
    digests: dict[str, str],
) -> Manifest:
    """What is known of a model before it is trained."""
    header = data.header
    return Manifest(
        network=network,
        role=role,
        class_names=header.class_names,
        box=header.box,
        voxel_spacing=header.voxel_spacing,
        contrast=header.contrast,
        preprocessing=preprocessing,
        tilt_range=data.tilt_range,
        snr_range=data.snr_range,
        digests={"data": data.digest, **digests},
        training=asdict(config),
    )


def fit(
    model: keras.Model,
    data: SubtomogramSet,
    manifest: Manifest,
    config: Training,
    *,
    teacher_logits: Array,
    loss: Loss,
    metrics: Sequence[Loss],
    transfer: Sequence[tuple[SubtomogramSet, Array]] = (),
) -> Trained:
    """Train on the training part, watching the validation part; learning curves go to MLflow.

    `teacher_logits` (n, views, classes) are of all items of `data`, in its `training_views`; those
    of a `transfer` set likewise, in the same views: of it every item is learned, whatever its
    split. Shifts and noise change no class. A training that was interrupted goes on.
    """
    views, preprocessing = training_views(data, config), manifest.preprocessing
    learned = data.labelled_rows("train") if loss is hard_label_loss else data.rows("train")
    own, validation = (
        Part(data, rows, teacher_logits[rows]) for rows in (learned, data.rows("val"))
    )
    others = [Part(of, np.arange(len(of.ids)), logits) for of, logits in transfer]
    checkpoint = _checkpoint(model, manifest, [own, *others, validation])
    history = train(
        model,
        join_parts([own, *others], views, config, preprocessing, seed=config.seed),
        join_parts([validation], views, config, preprocessing),
        config=config,
        loss=loss,
        metrics=metrics,
        on_epoch=lambda epoch, curves: log_metrics(curves, step=epoch),
        checkpoint=checkpoint,
    )
    return Trained(Classifier(manifest, KerasEngine(model)), model, history, checkpoint)


def _checkpoint(model: keras.Model, manifest: Manifest, parts: Sequence[Part]) -> Checkpoint | None:
    """Of just this training, by all that goes into it; None where nothing can be written."""
    try:
        folder = places.writable(places.checkpoints())
    except InputError as error:
        print(f"training without checkpoints: {error.found}", file=sys.stderr)
        return None
    digest = phase_digest(
        packages=SOURCES,
        keras=(keras.__version__, keras.backend.backend()),
        manifest=manifest,
        weights=_sha256(*model.get_weights()),
        parts=[(part.data.digest, _sha256(part.rows, part.logits)) for part in parts],
    )
    return Checkpoint(folder, digest)


def _sha256(*arrays: NDArray[Any]) -> str:
    content = hashlib.sha256()
    for array in arrays:
        content.update(np.ascontiguousarray(array).data)
    return content.hexdigest()


def evaluate_part(logits: NDArray[np.float32], data: SubtomogramSet, part: str) -> Evaluation:
    """Evaluation of (m, classes) logits over one part of a set."""
    return evaluate(logits, data.labels[data.rows(part)], data.header.class_names)


def cost_of(model: keras.Model) -> Cost:
    """Size and work of a Keras model."""
    weights = sum(weight.nbytes for weight in model.get_weights())
    return Cost(model.count_params(), weights, gflop(model))


def record(
    name: str,
    trained: Trained,
    data: SubtomogramSet,
    *,
    engines: Exported,
    test: Evaluation,
    metrics: dict[str, float],
) -> LoggedVersion:
    """Figures, tables, the model version and what it measured, into the active run."""
    log_report("test_per_class", test.report)
    log_text(DECISIONS, _decisions(test, data).csv())
    log_figure("test_confusion", confusion_figure(test.confusion, data.header.class_names))
    if trained.history.curves:  # a classifier that someone else trained has none
        log_figure("learning_curves", curves_figure(trained.history.curves))
    metrics = metrics | _of_sources(test, data)
    logged = _log_version(name, trained, data, engines, metrics)
    _log_metrics(metrics | engines.metrics(), trained.history, logged.model_id, data)
    if trained.checkpoint:
        trained.checkpoint.remove()
    return logged


def _of_sources(test: Evaluation, data: SubtomogramSet) -> dict[str, float]:
    """How often it is right on the test items of each part of a mixed set."""
    right = test.decisions == data.labels[data.rows("test")]
    sources = {name: rows for name, rows in rows_of_sources(data, "test").items() if len(rows)}
    accuracy = {
        f"test/{name}/accuracy": float(right[rows].mean()) for name, rows in sources.items()
    }
    return accuracy | {f"test/{name}/items": float(len(rows)) for name, rows in sources.items()}


def _log_metrics(
    metrics: dict[str, float], history: History, model_id: str, data: SubtomogramSet
) -> None:
    """On the pages of run and model; those with a learning curve replace its last epoch's.

    The UI draws bars for what was logged once, at step 0, and curves for the rest.
    """
    for with_curve, step in ((True, history.epochs), (False, 0)):
        chosen = {k: v for k, v in metrics.items() if (k in history.curves) == with_curve}
        log_metrics(chosen, step=step, model_id=model_id, data=data)


def _log_version(
    name: str,
    trained: Trained,
    data: SubtomogramSet,
    engines: Exported,
    metrics: dict[str, float],
) -> LoggedVersion:
    manifest = replace(trained.classifier.manifest, metrics=metrics, engines=engines.engines)
    probe = data.volumes(data.rows("val")[:PROBES])
    logits = trained.classifier.logits(probe)
    return log_version(
        name,
        lambda folder: write_version(
            folder,
            manifest,
            trained.model,
            probe=probe,
            probe_logits=logits,
            artifacts=engines.files,
        ),
    )


def _decisions(test: Evaluation, data: SubtomogramSet) -> Table:
    """What became of each item of the test part."""
    rows, names = data.rows("test"), data.header.class_names
    label, decided = ([names[i] for i in which] for which in (data.labels[rows], test.decisions))
    columns = tuple(map(Column, ("id", "label", "decision")))
    return Table(columns, list(zip(data.ids[rows].tolist(), label, decided, strict=True)))
