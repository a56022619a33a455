"""One seed of a comparison: set, teachers, soft labels and students, made when first asked for.

What is finished lies in a folder and is found again; an unfinished training goes on after its last
epoch. Neither mlflow nor a particular Keras backend is needed.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tomodistill.distillation.checkpoint import Checkpoint
from tomodistill.distillation.config import StudentConfig, TeacherConfig, Training
from tomodistill.distillation.losses import Loss, accuracy, hard_label_loss, soft_label_loss
from tomodistill.distillation.parts import Part, join_parts, training_views
from tomodistill.distillation.soft_labels import (
    SoftLabels,
    labels_of_views,
    make_soft_labels,
    mean_logits,
    read_soft_labels,
)
from tomodistill.distillation.training import train
from tomodistill.inference.keras_engine import KerasEngine
from tomodistill.machine import cores
from tomodistill.networks.build import build
from tomodistill.networks.table import network as network_of
from tomodistill.networks.table import seen_by
from tomodistill.scales import Scale
from tomodistill.simulation.structures import load_structures
from tomodistill.subtomograms.dataset import SubtomogramSet
from tomodistill.subtomograms.files import whole_file
from tomodistill.subtomograms.preprocessing import Preprocessing, preprocess
from tomodistill.subtomograms.simulated import write_simulated_set
from tomodistill.subtomograms.views import legal_views

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Variant:
    """A way of training a student; `changes` are fields of StudentConfig."""

    changes: dict[str, Any]
    transfer: float = 0.0  # share of the transfer set that it learns too
    teachers: int = 1  # averaged


@dataclass(frozen=True)
class Result:
    """What one network said of the validation and the test part of its seed's set."""

    network: str
    variant: str
    seed: int
    parameters: int
    seconds: float  # of training, since it last went on
    logits: dict[str, Array]  # part -> (m, classes)
    labels: dict[str, NDArray[np.int64]]

    def correct(self, part: str) -> dict[str, bool]:
        """Item -> decided right."""
        right = self.logits[part].argmax(axis=1) == self.labels[part]
        return {f"{self.seed}/{part}/{row}": bool(value) for row, value in enumerate(right)}


@dataclass(frozen=True)
class Study:
    """Everything of one seed, made when it is first asked for."""

    scale: Scale
    seed: int
    out: Path
    transfer_items: int

    @property
    def folder(self) -> Path:
        """Where its results lie."""
        return self.out / f"seed{self.seed}"

    @cached_property
    def data(self) -> SubtomogramSet:
        """The set with its three parts."""
        return self._set(replace(self.scale.simulation, seed=self.seed), "set")

    @cached_property
    def transfer(self) -> SubtomogramSet:
        """Further items like those of the set; their labels are not used."""
        further = {"seed": self.seed + 1000, "items": self.transfer_items}
        return self._set(replace(self.scale.simulation, **further), "transfer")

    def _set(self, config: Any, name: str) -> SubtomogramSet:
        structures = load_structures(
            config.structures,
            classes=config.classes,
            voxel_spacing=config.voxel_spacing,
            map_spacing=config.map_spacing,
        )
        path = self.folder / "work" / f"{name}.h5"
        return write_simulated_set(path, config, structures, workers=cores())

    def teacher(self, member: int = 0) -> Result:
        """One of the ensemble, with its soft labels beside it."""
        config = replace(self.scale.teacher, seed=self.seed + 100 * member)
        rows, views = self.data.rows("train"), training_views(self.data, config)
        nothing = np.zeros((len(rows), len(views), self.classes), np.float32)
        parts = [Part(self.data, rows, nothing)]

        def label(model: keras.Model, path: Path) -> None:
            for of in (self.data, self.transfer):
                self._label(model, of, member)

        name = f"teacher {member}"
        made_of = [self.transfer.digest]  # which it labels too
        return self._result(
            config.teacher, name, config, parts, hard_label_loss, made_of, kept=label
        )

    def student(self, network: str, name: str, variant: Variant) -> Result:
        """One student trained one way."""
        changes = dict(variant.changes)
        factor = changes.pop("epochs", 1)  # times the steps
        config = replace(self.scale.student, student=network, seed=self.seed, **changes)
        for member in range(variant.teachers):
            self.teacher(member)
        rows = self.data.rows("train")
        parts = [Part(self.data, rows, self._soft(self.data, config, variant)[rows])]
        if variant.transfer:
            some = np.arange(round(variant.transfer * len(self.transfer.ids)))
            soft = self._soft(self.transfer, config, variant)[some]
            parts.append(Part(self.transfer, some, soft))
        items = sum(len(part.rows) for part in parts)  # as many steps, whatever is learned from
        epochs = max(1, round(factor * config.epochs * len(rows) / items))
        config = replace(config, epochs=epochs, patience=min(config.patience, epochs))
        loss = (
            hard_label_loss
            if config.labels == "hard"
            else soft_label_loss(
                config.temperature, loss=config.loss, hard_weight=config.hard_weight
            )
        )
        made_of = [
            self._soft_labels(part.data, member).digest
            for part in parts
            for member in range(variant.teachers)
        ]
        return self._result(network, name, config, parts, loss, made_of, kept=_save)

    @property
    def classes(self) -> int:
        """How many the set has."""
        return len(self.data.header.class_names)

    def _soft(self, data: SubtomogramSet, config: StudentConfig, variant: Variant) -> Array:
        """(n, views, classes) soft labels, of several teachers averaged."""
        members = range(variant.teachers)
        of_all = [self._soft_labels(data, member).logits for member in members]
        return labels_of_views(
            mean_logits(np.stack(of_all), axis=0),
            given=legal_views(data.columns["tilt_range"]),
            wanted=training_views(self.data, config),
            label_views=config.label_views,
        )

    def _soft_labels(self, data: SubtomogramSet, member: int) -> SoftLabels:
        found = read_soft_labels(self._labels_path(data, member))
        assert found.set_digest == data.digest  # so that they may be joined by position
        return found

    def _labels_path(self, data: SubtomogramSet, member: int) -> Path:
        return self.folder / f"soft_labels_{member}_{data.path.stem}.h5"

    def _label(self, model: keras.Model, data: SubtomogramSet, member: int) -> None:
        engine = KerasEngine(model)
        make_soft_labels(
            self._labels_path(data, member),
            data,
            lambda volumes: engine.logits(self.prepared(volumes, self.scale.teacher.teacher)),
            views=legal_views(data.columns["tilt_range"]),
            class_names=data.header.class_names,
            teacher_digest=_digest(*(weight.tobytes() for weight in model.get_weights())),
        )

    def prepared(self, volumes: Array, network: str) -> Array:
        """(n, e, e, e) of stored (n, d, d, d): what that network sees."""
        header = self.data.header
        return preprocess(
            volumes,
            voxel_spacing=header.voxel_spacing,
            contrast=header.contrast,
            parameters=self._seen(network),
        )

    def _result(
        self,
        network: str,
        name: str,
        config: Training,
        parts: Sequence[Part],
        loss: Loss,
        made_of: Sequence[str],
        *,
        kept: Callable[[keras.Model, Path], None],
    ) -> Result:
        """Found again, or trained now and `kept`."""
        path = self.folder / f"{network}-{name}.npz".replace(" ", "_").replace(",", "")
        counts = [len(part.rows) for part in parts]
        settings = [vars(config), vars(self._seen(network)), keras.backend.backend()]
        asked = json.dumps([network, name, counts, self.data.digest, *made_of, *settings])
        if not _stands(path, asked):
            checkpoint = Checkpoint(self.folder / "work", _digest(asked.encode()))
            model, seconds = self._trained(network, config, parts, loss, checkpoint)
            kept(model, path)
            about = {"asked": asked, "seconds": seconds, "parameters": model.count_params()}
            with whole_file(path) as partial, partial.open("wb") as file:
                np.savez_compressed(
                    file, about=np.array(json.dumps(about)), **self._said(model, network)
                )
            checkpoint.remove()
        return self._load(path, network, name)

    def _seen(self, network: str) -> Preprocessing:
        return seen_by(network_of(network), self.scale.preprocessing, self.data.header.box)

    def _said(self, model: keras.Model, network: str) -> dict[str, Array]:
        """Part -> (m, classes) logits."""
        engine, seen = KerasEngine(model), self._seen(network)
        rows = {part: self.data.rows(part) for part in ("val", "test")}
        return {part: engine.logits(self.data.preprocessed(of, seen)) for part, of in rows.items()}

    def _trained(
        self,
        network: str,
        config: Training,
        parts: Sequence[Part],
        loss: Loss,
        checkpoint: Checkpoint,
    ) -> tuple[keras.Model, float]:
        keras.utils.set_random_seed(config.seed)
        dropout = config.dropout if isinstance(config, TeacherConfig) else None
        box = self.scale.preprocessing.edge(self.data.header.box)
        model = build(network, box=box, classes=self.classes, dropout=dropout)
        views, preprocessing = training_views(self.data, config), self._seen(network)
        rows = self.data.rows("val")
        no_views = np.zeros((len(rows), 1, self.classes), np.float32)
        val = Part(self.data, rows, no_views)
        if isinstance(config, StudentConfig) and config.labels == "soft":
            identity = replace(config, label_views="identity", augment=False)
            val = Part(self.data, rows, self._soft(self.data, identity, Variant({}))[rows])
        start = time.perf_counter()
        train(
            model,
            join_parts(parts, views, config, preprocessing, seed=config.seed),
            join_parts([val], ("identity",), config, preprocessing),
            config=config,
            loss=loss,
            metrics=[accuracy],
            on_epoch=lambda epoch, curves: _say(network, epoch, curves),
            checkpoint=checkpoint,
        )
        return model, time.perf_counter() - start

    def _load(self, path: Path, network: str, name: str) -> Result:
        with np.load(path) as file:
            about = json.loads(str(file["about"]))
            logits = {part: file[part] for part in ("val", "test")}
        labels = {part: self.data.labels[self.data.rows(part)] for part in logits}
        return Result(
            network, name, self.seed, about["parameters"], about["seconds"], logits, labels
        )


def _save(model: keras.Model, path: Path) -> None:
    model.save(path.with_suffix(".keras"))


def _say(network: str, epoch: int, curves: Any) -> None:
    shown = " ".join(f"{name} {value:.3f}" for name, value in curves.items())
    print(f"  {network} epoch {epoch}: {shown}", flush=True)


def _stands(path: Path, asked: str) -> bool:
    if not path.exists():
        return False
    with np.load(path) as file:
        return bool(json.loads(str(file["about"]))["asked"] == asked)


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()
