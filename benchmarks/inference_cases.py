"""Networks as version folders, opened in every engine and precision at hand, and what is timed."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import keras
import numpy as np
from inference_turns import Case, Key

from tomodistill.inference import openvino_engine
from tomodistill.inference.classifier import Classifier
from tomodistill.inference.engines import PRECISIONS, REFERENCE, Array, Engine
from tomodistill.inference.gate import Figures
from tomodistill.inference.keras_engine import KerasEngine, device
from tomodistill.inference.openvino_engine import GRAPH, OpenVINOEngine
from tomodistill.inference.version import Manifest, load_model, read_manifest, write_version
from tomodistill.networks.build import build, gflop
from tomodistill.networks.table import network, seen_by
from tomodistill.subtomograms.preprocessing import Preprocessing, preprocess

ENGINE, END_TO_END, PREPROCESSING = "engine", "end to end", "preprocessing"  # measures
TODAY = "model.predict"
VOXEL_SPACING = 9.2  # Å


class PredictEngine:
    """What users do today: Keras's own `predict`."""

    name, precision = TODAY, REFERENCE

    def __init__(self, model: keras.Model) -> None:
        self.model, self.device = model, device()

    def logits(self, volumes: Array) -> Array:
        """(n, classes) logits of preprocessed volumes (n, e, e, e), as one batch."""
        answer = self.model.predict(volumes[..., None], batch_size=len(volumes), verbose=0)
        return np.asarray(answer)

    def warm_up(self) -> None:
        """Compile."""
        self.logits(np.zeros((1, *self.model.input_shape[1:4]), np.float32))


@dataclass(frozen=True)
class Opened:
    """A version in all its engines."""

    gflop: float  # of one volume
    classifiers: tuple[Classifier, ...]

    @property
    def manifest(self) -> Manifest:
        """Of the version."""
        return self.classifiers[0].manifest

    @property
    def bytes(self) -> int:
        """Of one preprocessed volume."""
        return int(4 * self.manifest.preprocessing.edge(self.manifest.box) ** 3)


def on_gpu() -> bool:
    """Whether the Keras backend computes on one."""
    return not device().startswith("cpu")


def precisions() -> tuple[str, ...]:
    """Those that are measured: what the device has."""
    if on_gpu():
        return PRECISIONS
    return openvino_engine.precisions() if openvino_engine.installed() else (REFERENCE,)


def noise(count: int, box: int) -> Array:
    """(count, box, box, box) stored volumes."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((count, box, box, box), dtype=np.float32)


def random_version(folder: Path, name: str, *, box: int, classes: int) -> Path:
    """A version with random weights, on which cost does not depend; no gate holds it back."""
    model, row = build(name, box=box, classes=classes), network(name)
    ungated = asdict(Figures(1.0, 0.0, 0.0, 0.0, items=0, passed=True))
    installed = openvino_engine.installed()
    of_openvino = dict.fromkeys(openvino_engine.precisions(), ungated) if installed else {}
    manifest = Manifest(
        network=name,
        role=row.role,
        class_names=tuple(f"class {index}" for index in range(classes)),
        box=box,
        voxel_spacing=VOXEL_SPACING,
        contrast="dark",
        preprocessing=seen_by(row, Preprocessing(), box),
        tilt_range=(-60.0, 60.0),
        snr_range=(0.1, 0.1),
        digests={},
        training={},
        engines={"keras": {REFERENCE: {}}, "openvino": of_openvino},
    )
    probe = noise(4, box)
    logits = Classifier(manifest, KerasEngine(model)).logits(probe)
    with tempfile.TemporaryDirectory() as work:
        files = _exported(model, Path(work)) if installed else ()
        write_version(folder, manifest, model, probe=probe, probe_logits=logits, artifacts=files)
    return folder


def _exported(model: keras.Model, folder: Path) -> tuple[Path, ...]:
    from tomodistill.inference.export import write_openvino  # a machine for its GPU may lack ONNX

    return write_openvino(model, folder)


def open_version(folder: Path) -> Opened:
    """In every engine and precision at hand, warmed up; and in what users do today."""
    manifest, model = read_manifest(folder), load_model(folder)
    engines = [*_engines(folder, model), PredictEngine(model)]
    for engine in engines:
        engine.warm_up()
    return Opened(gflop(model), tuple(Classifier(manifest, engine) for engine in engines))


def _engines(folder: Path, model: keras.Model) -> Iterator[Engine]:
    """On a GPU Keras alone, which computes there."""
    for precision in PRECISIONS if on_gpu() else (REFERENCE,):
        yield KerasEngine(model, precision)
    if (folder / GRAPH).is_file() and not on_gpu():
        for precision in precisions():
            yield OpenVINOEngine(folder / GRAPH, precision)


def cases(opened: Opened, volumes: Array, batches: Sequence[int]) -> Iterator[Case]:
    """Preprocessing alone, each engine alone in each batch, and end to end in the largest."""
    manifest, largest = opened.manifest, max(batches)
    seen = prepared(manifest, volumes)
    key = Key(manifest.network, "NumPy", REFERENCE, largest, PREPROCESSING)
    yield Case(key, partial(prepared, manifest, volumes[:largest]))
    for classifier in opened.classifiers:
        engine = classifier.engine
        of = manifest.network, engine.name, engine.precision
        for batch in batches:
            yield Case(Key(*of, batch, ENGINE), partial(engine.logits, seen[:batch]))
        yield Case(Key(*of, largest, END_TO_END), partial(classifier.logits, volumes[:largest]))


def prepared(manifest: Manifest, volumes: Array) -> Array:
    """(n, e, e, e) what the network sees of stored volumes."""
    return preprocess(
        volumes,
        voxel_spacing=manifest.voxel_spacing,
        contrast=manifest.contrast,
        parameters=manifest.preprocessing,
    )
