"""Versions of a small student, sound and forged, whose answers differ clearly."""

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import keras
import mlflow
import numpy as np
from numpy.typing import NDArray
from serving_clients import TOLERANCE, Questions

from tests.versions import MANIFEST, PASSED, random_volumes, write_openvino_version
from tomodistill.inference.classifier import Classifier
from tomodistill.inference.openvino_engine import GRAPH, WEIGHTS
from tomodistill.inference.version import MANIFEST as MANIFEST_FILE
from tomodistill.inference.version import MODEL, Manifest, file_digest, load_model, read_manifest
from tomodistill.tracking.flavor import log_version
from tomodistill.tracking.registry import register

_DISTINCT = 10 * TOLERANCE  # of a probability, that two answers differ by at least
_BOMB, _BLOCK = 2**30, 2**24  # bytes that it inflates to; that are written at a time


def sound(folder: Path, count: int) -> list[Path]:
    """Versions of different weights, with OpenVINO's files, new in `folder`."""
    return [write_openvino_version(folder / f"{n}", seed=n, float32=PASSED) for n in range(count)]


def truncated(source: Path, folder: Path) -> Path:
    """Half of its network, whichever engine reads it."""

    def cut(version: Path) -> None:
        for name in (MODEL, WEIGHTS):
            os.truncate(version / name, (version / name).stat().st_size // 2)

    return _forged(source, folder, cut)


def zip_bomb(source: Path, folder: Path) -> Path:
    """A MiB that inflates to a GiB, where Keras reads first; no other engine can be chosen."""

    def arm(version: Path) -> None:
        _for_keras_alone(version)
        with (
            zipfile.ZipFile(version / MODEL, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open("config.json", "w") as entry,
        ):
            for _ in range(_BOMB // _BLOCK):
                entry.write(bytes(_BLOCK))

    return _forged(source, folder, arm)


def with_lambda(source: Path, folder: Path, marker: Path) -> Path:
    """With a layer of its own code, that leaves a file at `marker` wherever it runs; likewise."""

    def add(version: Path) -> None:
        _for_keras_alone(version)
        model = load_model(version)
        layer = keras.layers.Lambda(
            lambda logits, path: (open(path, "a").close(), logits)[1],
            arguments={"path": f"{marker}"},
        )
        keras.Model(model.inputs, layer(model.output)).save(version / MODEL)
        marker.unlink()

    return _forged(source, folder, add)


class Registered(NamedTuple):
    """A version in the registry."""

    number: int
    model_id: str  # by which its files are found


def registered(source: Path) -> Registered:
    """The version folder as the newest version."""

    def write(folder: Path) -> Manifest:
        shutil.copytree(source, folder)
        return read_manifest(folder)

    with mlflow.start_run(run_name=source.name):
        logged = log_version("student", write)
    version = register(logged.model_id, digest=logged.digest, tags={}).version
    return Registered(int(version), logged.model_id)


def questions(folders: Mapping[int, Path], count: int) -> Questions:
    """`count` volumes to which every one of the versions has another answer."""
    classifiers = {folder: Classifier.load(folder) for folder in set(folders.values())}
    volumes = random_volumes(8 * count, seed=7)
    said = np.stack([of.probabilities(volumes) for of in classifiers.values()])
    chosen = _distinct(said, count)
    answers = {folder: said[n, chosen] for n, folder in enumerate(classifiers)}
    by_version = {version: answers[folder] for version, folder in folders.items()}
    return Questions(volumes[chosen], MANIFEST.class_names, by_version)


def _distinct(said: NDArray[np.float32], count: int) -> list[int]:
    """Of (models, n, classes) probabilities the first `count` that no two answers share."""
    chosen: list[int] = []
    for number in range(said.shape[1]):
        answers = said[:, [*chosen, number]].reshape(-1, said.shape[2])
        if all(np.abs(a - b).max() > _DISTINCT for a, b in combinations(answers, 2)):
            chosen.append(number)
    if len(chosen) < count:
        raise ValueError(f"only {len(chosen)} volumes that every version answers differently")
    return chosen[:count]


def _forged(source: Path, folder: Path, change: Callable[[Path], None]) -> Path:
    """A copy after `change`, whose digests agree: what a careless or evil tool registers."""
    shutil.copytree(source, folder)
    change(folder)
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    manifest["files"] = {
        name: file_digest(folder / name) for name in manifest["files"] if (folder / name).exists()
    }
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest))
    return folder


def _for_keras_alone(version: Path) -> None:
    for name in (GRAPH, WEIGHTS):
        (version / name).unlink(missing_ok=True)
