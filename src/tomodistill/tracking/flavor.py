"""Model versions in MLflow: our version folder with an MLmodel file beside the manifest.

The `python_function` flavor is for people with their own MLflow tools; it needs this package
installed. The service never uses it: it loads the folder through the Classifier.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec
from numpy.typing import NDArray

from tomodistill import __version__
from tomodistill.inference.classifier import Classifier
from tomodistill.inference.version import MANIFEST, Manifest, file_digest

Write = Callable[[Path], Manifest]  # writes the version into a new folder


@dataclass(frozen=True)
class LoggedVersion:
    """A model version as MLflow knows it."""

    model_id: str
    digest: str  # sha256 of the manifest, which names the sha256 of every other file


def log_version(name: str, write: Write) -> LoggedVersion:
    """Log a version as an output model of the active run; `write` makes its folder."""
    digests: list[str] = []

    def write_and_digest(folder: Path) -> Manifest:
        manifest = write(folder)
        digests.append(file_digest(folder / MANIFEST))
        return manifest

    flavor = sys.modules[__name__]
    info = Model.log(None, flavor, name=name, write=write_and_digest)
    return LoggedVersion(str(info.model_id), digests[0])


def save_model(path: str, mlflow_model: Model, write: Write) -> None:
    """What `Model.log` calls: the version folder, then MLmodel in it."""
    folder = Path(path)
    folder.rmdir() if folder.exists() else None
    manifest = write(folder)
    mlflow_model.signature = _signature(manifest)
    mlflow_model.add_flavor("tomodistill", version=__version__, network=manifest.network)
    mlflow.pyfunc.add_to_model(mlflow_model, loader_module=__name__)
    mlflow_model.save(str(folder / "MLmodel"))


def _signature(manifest: Manifest) -> ModelSignature:
    box = (-1, *[manifest.box] * 3)
    volumes = TensorSpec(np.dtype(np.float32), box)
    probabilities = TensorSpec(np.dtype(np.float32), (-1, len(manifest.class_names)))
    return ModelSignature(Schema([volumes]), Schema([probabilities]))


class _PyFunc:
    def __init__(self, folder: Path) -> None:
        self.classifier = Classifier.load(folder)

    def predict(self, volumes: NDArray[np.float32], params: Any = None) -> NDArray[np.float32]:
        """(n, classes) probabilities of stored volumes (n, d, d, d)."""
        return self.classifier.probabilities(volumes)


def _load_pyfunc(path: str) -> _PyFunc:
    return _PyFunc(Path(path))
