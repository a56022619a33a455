"""The registry of students: versions, the alias `production`, and how a model URI is resolved.

The alias is the truth. The stage "Production" mirrors it, so that older URIs load the same version.
"""

import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from tomodistill import places
from tomodistill.errors import InputError
from tomodistill.inference.version import MANIFEST, file_digest, read_manifest
from tomodistill.subtomograms.files import remove_abandoned, to_disk
from tomodistill.tracking.artifacts import fetch, size_of
from tomodistill.tracking.versions import DIGEST_TAG, NoSuchVersion, ResolvedVersion

STUDENTS = "subtomogram-student"
PRODUCTION, PREVIOUS = "production", "previous"
STAGE = "Production"
CLASS_NAMES = "class_names"  # tag
_ABOUT = (  # what the registry's page says of the model
    "Students that classify subtomograms, distilled from a teacher. The alias `production` names "
    "the one in service (`mlflow run . -e promote -P student=s3`), `previous` the one before it "
    "(`mlflow run . -e rollback`). Each version says what it reached on its test part."
)


def register(
    model_id: str, *, digest: str, tags: Mapping[str, str], description: str = ""
) -> ResolvedVersion:
    """A logged model as the newest version of the registered model."""
    registered = mlflow.register_model(
        f"models:/{model_id}", STUDENTS, tags={**tags, DIGEST_TAG: digest}
    )
    client = MlflowClient()
    client.update_model_version(STUDENTS, registered.version, description)
    if not client.get_registered_model(STUDENTS).description:  # what people wrote there stays
        client.update_registered_model(STUDENTS, _ABOUT)
    return _resolved(client.get_model_version(STUDENTS, registered.version))


def resolve(uri: str) -> ResolvedVersion:
    """The version that "models:/NAME@ALIAS", "models:/NAME/STAGE" or "models:/NAME/3" names now.

    "models:/MODEL_ID" and "runs:/RUN_ID/NAME" name models outside the registry. Raises
    NoSuchVersion if there is none.
    """
    registered = re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/([^/@]+))", uri)
    if registered is None:
        return _unregistered(uri)
    name, alias, version = registered.groups()
    try:
        found = _by_alias(name, alias) if alias else _by_version_or_stage(name, version)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise _missing(uri, str(error.message)) from error
    if found is None:
        raise _missing(uri, f"no version of {name} in stage {version}")
    return _resolved(found, alias=alias or (None if version.isdigit() else version))


def newest(student: str) -> ResolvedVersion:
    """The newest version of a student trained on soft labels. Raises InputError if none is."""
    versions = [v for v in _versions(STUDENTS) if v.tags.get("student") == student]
    if not versions:
        raise InputError(
            expected=f"a registered version of {student} in {STUDENTS}",
            found="none",
            todo=f"Train one: mlflow run . -e distill -P student={student}",
        )
    return _resolved(max(versions, key=lambda v: int(v.version)))


def download(resolved: ResolvedVersion, cache: Path) -> Path:
    """Folder of the version in `cache`, fetched once, whole or not at all, every file verified.

    A damaged copy is fetched again. Raises InputError if what the store has is not what was
    registered, or too large for the disk.
    """
    digest = resolved.tags.get(DIGEST_TAG)
    folder = cache / resolved.name / f"{resolved.version}-{(digest or 'unregistered')[:12]}"
    waiting = f"version {resolved.version}: another process fetches it; waiting"
    with places.one_at_a_time(f"version-{folder.name}", waiting):
        try:
            return _verified(folder, digest)
        except InputError:
            shutil.rmtree(folder, ignore_errors=True)
        _fetch(resolved.uri, folder, digest)
    return folder


def set_production(version: str, tags: Mapping[str, str]) -> None:
    """Point `production` at a version, `previous` at the one before; `tags` are the audit."""
    client = MlflowClient()
    for name, value in tags.items():
        client.set_model_version_tag(STUDENTS, version, name, value)
    old = in_production()
    if old is not None and old.version != version:
        client.set_registered_model_alias(STUDENTS, PREVIOUS, old.version)
    client.set_registered_model_alias(STUDENTS, PRODUCTION, version)
    _mirror_stage(client, version)


def in_production() -> ResolvedVersion | None:
    """The version that the alias `production` names, if any."""
    return _aliased(PRODUCTION)


def previous() -> ResolvedVersion | None:
    """The version that was in production before, if any."""
    return _aliased(PREVIOUS)


def _aliased(alias: str) -> ResolvedVersion | None:
    try:
        return resolve(f"models:/{STUDENTS}@{alias}")
    except InputError:
        return None


def _by_alias(name: str, alias: str) -> ModelVersion:
    return MlflowClient().get_model_version_by_alias(name, alias)


def _by_version_or_stage(name: str, version: str) -> ModelVersion | None:
    if version.isdigit():
        return MlflowClient().get_model_version(name, version)
    in_stage = [
        v for v in _versions(name) if version.lower() in ("latest", str(v.current_stage).lower())
    ]
    return max(in_stage, key=lambda v: int(v.version), default=None)


def _versions(name: str) -> list[ModelVersion]:
    return list(MlflowClient().search_model_versions(f"name = '{name}'", max_results=10_000))


def _unregistered(uri: str) -> ResolvedVersion:
    if not re.fullmatch(r"models:/m-[0-9a-f]+|runs:/[0-9a-f]+/.+", uri):
        raise _missing(uri, "no model URI")
    parts = uri.split("/")
    return ResolvedVersion(name="unregistered", version="-".join(parts[1:]), uri=uri)


def _resolved(found: ModelVersion, alias: str | None = None) -> ResolvedVersion:
    version = str(found.version)  # int on sqlite, str over REST
    uri = f"models:/{found.name}/{version}"
    return ResolvedVersion(found.name, version, uri, alias, found.run_id, dict(found.tags))


def _verified(folder: Path, digest: str | None) -> Path:
    """The folder, if its manifest has that sha256 and every file the one the manifest names."""
    read_manifest(folder)
    if digest and file_digest(folder / MANIFEST) != digest:
        raise InputError(
            expected=f"the version that was registered (manifest sha256 {digest[:12]})",
            found=f"another one in {folder}",
            todo="Its artifacts were changed in the store: register it again.",
        )
    return folder


def _fetch(uri: str, folder: Path, digest: str | None) -> None:
    remove_abandoned(places.writable(folder.parent), ".partial-*")
    _check_room(uri, folder.parent)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".partial-"))
    try:
        fetched = fetch(uri, partial)  # "runs:/" URIs come in a folder of their own
        _check_fetched(fetched, uri, digest)
        for path in filter(Path.is_file, fetched.rglob("*")):
            to_disk(path)
        os.replace(fetched, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_room(uri: str, folder: Path) -> None:
    size, free = size_of(uri), shutil.disk_usage(folder).free
    if size > free:
        raise InputError(
            expected=f"room for {size:,} bytes of {uri}",
            found=f"{free:,} bytes free in {folder.absolute()}",
            todo="Make room there, or name another folder.",
        )


def _check_fetched(fetched: Path, uri: str, digest: str | None) -> None:
    """Told of the store, not of a folder that is gone when someone reads it."""
    try:
        _verified(fetched, digest)
    except InputError as error:
        raise InputError(
            expected=error.expected,
            found=error.found.replace(f"{fetched}", uri),
            todo=error.todo,
        ) from error


def _mirror_stage(client: MlflowClient, version: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # stages are deprecated: mirrored, not used
        client.transition_model_version_stage(
            STUDENTS, version, STAGE, archive_existing_versions=True
        )


def _missing(uri: str, found: str) -> NoSuchVersion:
    return NoSuchVersion(
        expected=f"a model version at {uri}",
        found=found,
        todo="`mlflow run . -e distill` makes one, `-e promote` puts it in production",
    )
