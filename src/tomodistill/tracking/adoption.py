"""A Keras classifier that someone else registered: found, and loaded without running its code."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import mlflow
from mlflow.exceptions import MlflowException
from mlflow.models.model import ModelInfo
from mlflow.tracking import MlflowClient

from tomodistill import places
from tomodistill.errors import InputError
from tomodistill.inference.version import MODEL, load_model, read_manifest
from tomodistill.tracking.artifacts import fetch
from tomodistill.tracking.registry import CLASS_NAMES, download, resolve
from tomodistill.tracking.versions import ResolvedVersion

_OURS = "tomodistill"  # flavor of our own versions
_KERAS = ("keras", "tensorflow")  # flavors of MLflow that keep `data/model.keras`


@dataclass(frozen=True)
class Registered:
    """A classifier in MLflow, whoever trained it."""

    uri: str  # of this version and no other
    model_id: str
    class_names: tuple[str, ...]  # in the order of its outputs
    folder: Path | None  # of a version of ours, whose manifest says more


def find_registered(uri: str) -> Registered:
    """The classifier that a model URI names now.

    Raises InputError if there is none, if it is not of Keras, and if nothing says its classes.
    """
    resolved = resolve(uri)
    info = _info(resolved.uri)
    if _OURS in info.flavors:
        folder = download(resolved, places.models())
        return Registered(resolved.uri, info.model_uuid, read_manifest(folder).class_names, folder)
    if not info.flavors.keys() & set(_KERAS):
        raise InputError(
            expected=f"{uri} logged with mlflow.keras or mlflow.tensorflow",
            found=", ".join(info.flavors),
            todo="Choose a Keras classifier.",
        )
    return Registered(resolved.uri, info.model_uuid, _class_names(resolved, info), None)


def load_registered(found: Registered) -> keras.Model:
    """Its model: logits from one of ours, probabilities from others.

    Only Keras's own layers are loaded, no Lambda and nothing pickled. Raises InputError if it
    needs more.
    """
    if found.folder:
        return load_model(found.folder)
    with TemporaryDirectory() as folder:
        return _load(found.uri, fetch(found.uri, Path(folder)) / "data")


def _load(uri: str, folder: Path) -> keras.Model:
    try:
        return load_model(folder)
    except Exception as error:  # a stranger's file may fail in any way
        raise InputError(
            expected=f"a {MODEL} in {uri} that loads without code of its own",
            found=str(error).partition("\n")[0],
            todo="Build it of Keras's own layers, without Lambda, and register it again.",
        ) from error


def _info(uri: str) -> ModelInfo:
    try:
        return mlflow.models.get_model_info(uri)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise InputError(
            expected=f"a model at {uri}",
            found=str(error.message),
            todo="See what there is: mlflow ui",
        ) from error


def _class_names(resolved: ResolvedVersion, info: ModelInfo) -> tuple[str, ...]:
    for tags in _tags(resolved, info):
        if CLASS_NAMES in tags:
            return tuple(name.strip() for name in str(tags[CLASS_NAMES]).split(","))
    raise InputError(
        expected=f"the class names of {resolved.uri}, in the order of its outputs",
        found=f"no tag {CLASS_NAMES}",
        todo='Set that tag of the version, for example to "clpp, groel, rubisco".',
    )


def _tags(resolved: ResolvedVersion, info: ModelInfo) -> Iterator[Mapping[str, Any]]:
    """What was noted of it, from the version itself to the run that made it."""
    yield resolved.tags
    yield info.tags or {}
    yield info.metadata or {}
    client = MlflowClient()
    if resolved.uri.startswith(f"models:/{resolved.name}/"):
        yield client.get_registered_model(resolved.name).tags
    if info.run_id:
        yield client.get_run(info.run_id).data.tags
