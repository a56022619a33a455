"""A trained network on the engines of this machine, each held to Keras on the validation part."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras

from tomodistill.errors import InputError
from tomodistill.inference.classifier import SELF_TEST_TOLERANCE, Classifier
from tomodistill.inference.engines import PRECISIONS, REFERENCE, Array, Engine
from tomodistill.inference.export import write_openvino
from tomodistill.inference.gate import Figures, Gate, judge, probability_difference
from tomodistill.inference.keras_engine import KerasEngine, device
from tomodistill.inference.openvino_engine import OpenVINOEngine, precisions
from tomodistill.subtomograms.dataset import SubtomogramSet

_LEAST_AGREEMENT = 0.999  # of an export in float32: it is the same network


@dataclass(frozen=True)
class Gated:
    """An engine in one precision, and what it reached on the validation part."""

    engine: Engine
    figures: Figures


@dataclass(frozen=True)
class Exported:
    """What a version has of engines beside Keras in float32."""

    gated: tuple[Gated, ...]
    files: tuple[Path, ...]  # which last as long as the block that made them

    @property
    def engines(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Engine -> precision -> figures, as a manifest has them."""
        found: dict[str, dict[str, dict[str, Any]]] = {"keras": {REFERENCE: {}}}
        for of in self.gated:
            found.setdefault(of.engine.name, {})[of.engine.precision] = asdict(of.figures)
        return found

    def metrics(self) -> dict[str, float]:
        """Named as in MLflow: "engine/openvino/bfloat16/agreement" and so on."""
        return {
            f"engine/{of.engine.name}/{of.engine.precision}/{name}": float(value)
            for of in self.gated
            for name, value in asdict(of.figures).items()
        }

    def passed(self, name: str, precision: str) -> Engine | None:
        """That engine in that precision, if the version may be run so."""
        for of in self.gated:
            if (of.engine.name, of.engine.precision) == (name, precision) and of.figures.passed:
                return of.engine
        return None


@contextmanager
def exported(
    model: keras.Model, classifier: Classifier, data: SubtomogramSet
) -> Iterator[Exported]:
    """The network for every engine and precision that this machine has, all of them gated.

    `classifier` is the reference: `model` by Keras in float32; `data` is what it was trained on.
    Where the network cannot be exported, or becomes another one, Keras stays alone and a line
    says why.
    """
    rows = data.rows("val")
    volumes = data.preprocessed(rows, classifier.manifest.preprocessing)
    reference = classifier.engine.logits(volumes)

    def gate(engine: Engine) -> Gated:
        logits, labels = engine.logits(volumes), data.labels[rows]
        figures = judge(reference_logits=reference, logits=logits, labels=labels, gate=Gate())
        if engine.precision == REFERENCE:
            _check_faithful(reference, logits)
        return Gated(engine, figures)

    # On a CPU Keras computes reduced precisions slower than float32.
    reduced = () if device().startswith("cpu") else PRECISIONS[1:]
    of_keras = [gate(KerasEngine(model, precision)) for precision in reduced]
    with TemporaryDirectory() as folder:
        of_openvino, files = _openvino(model, Path(folder), gate)
        yield Exported((*of_keras, *of_openvino), files)


def _openvino(
    model: keras.Model, folder: Path, gate: Callable[[Engine], Gated]
) -> tuple[list[Gated], tuple[Path, ...]]:
    """Its precisions, and the files that they share; nothing where it cannot have the network."""
    try:
        graph, *weights = write_openvino(model, folder)
        return [gate(OpenVINOEngine(graph, p)) for p in precisions()], (graph, *weights)
    except Exception as error:  # a converter fails in many ways, and none may cost the training
        reason = f"{error}".partition("\n")[0]
        print(f"the version has no openvino: {type(error).__name__}: {reason}", file=sys.stderr)
        return [], ()


def _check_faithful(reference: Array, logits: Array) -> None:
    """Raises InputError unless (n, classes) logits are those of the same network."""
    agreement = float((reference.argmax(axis=1) == logits.argmax(axis=1)).mean())
    difference = probability_difference(reference, logits)
    if not (agreement >= _LEAST_AGREEMENT and difference <= SELF_TEST_TOLERANCE):
        raise InputError(
            expected=f"an agreement of {_LEAST_AGREEMENT} or more with what was exported, and "
            f"probabilities within {SELF_TEST_TOLERANCE}",
            found=f"{agreement:.4g} and a difference of {difference:.2g}",
            todo="Use Keras.",
        )
