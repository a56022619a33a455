"""Versions that are fetched from a real store, with whatever can be wrong with them."""

import shutil
from collections import namedtuple
from pathlib import Path

import mlflow
import pytest

from tomodistill.errors import InputError
from tomodistill.inference.version import MANIFEST, read_manifest
from tomodistill.tracking import artifacts, registry
from tomodistill.tracking.flavor import log_version
from tomodistill.tracking.registry import STUDENTS, download, register, resolve
from tomodistill.tracking.store import explained
from tomodistill.tracking.versions import NoSuchVersion


@pytest.fixture(scope="module")
def registered(client, version_folder, tmp_path_factory):
    """A version in the registry."""
    root = tmp_path_factory.mktemp("artifacts")
    experiment = client.create_experiment("of the registry", artifact_location=str(root))

    def write(folder):
        shutil.copytree(version_folder, folder)
        return read_manifest(folder)

    with mlflow.start_run(experiment_id=experiment):
        logged = log_version("student", write)
    return register(logged.model_id, digest=logged.digest, tags={})


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TOMODISTILL_DATA", str(tmp_path / "data"))
    return tmp_path / "cache"


@pytest.fixture
def stored(registered, client):
    """The folder in the store; afterwards it is as it was."""
    uri = client.get_model_version_download_uri(STUDENTS, registered.version)
    folder = Path(mlflow.artifacts.download_artifacts(uri))
    files = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    yield folder
    for path, content in files.items():
        path.write_bytes(content)


def nothing_is_left(cache):
    return [path for path in cache.rglob("*") if path.is_file()] == []


def refusal(version, cache) -> str:
    """What is said once and again; nothing is left in the cache."""
    said = set()
    for _ in range(2):
        with pytest.raises(InputError) as caught, explained():
            download(version, cache)
        said.add(str(caught.value))
        assert nothing_is_left(cache)
    (only,) = said  # the same words, so that a log has them once
    return only


def test_what_is_fetched_is_whole_and_fetched_once(registered, cache, monkeypatch):
    folder = download(registered, cache)
    assert read_manifest(folder).network == "s3"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    monkeypatch.setattr(registry, "fetch", None)  # as without a store
    assert download(resolve(f"models:/{STUDENTS}/{registered.version}"), cache) == folder


def test_a_truncated_file_is_told_of_the_store(registered, stored, cache):
    content = (stored / "model.keras").read_bytes()
    (stored / "model.keras").write_bytes(content[: len(content) // 2])
    said = refusal(registered, cache)
    assert "expected model.keras as it was written; found a missing or changed file in" in said
    assert f"models:/{STUDENTS}/{registered.version}" in said


def test_a_manifest_that_was_not_registered_is_refused(registered, stored, cache):
    (stored / MANIFEST).write_text((stored / MANIFEST).read_text() + "\n")
    assert "expected the version that was registered" in refusal(registered, cache)


def test_too_little_room_is_known_before_anything_is_fetched(registered, cache, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(registry.shutil, "disk_usage", lambda _: usage(1000))
    said = refusal(registered, cache)
    assert f"of models:/{STUDENTS}/{registered.version}; found 1,000 bytes free in" in said


def test_a_disk_that_is_full_meanwhile(registered, cache, monkeypatch):
    def half(_, folder):
        (folder / "model.keras").write_bytes(b"half")
        raise OSError(28, "No space left on device", str(folder / "model.keras"))

    monkeypatch.setattr(registry, "fetch", half)
    with pytest.raises(InputError, match="expected room to write; found a full disk"), explained():
        download(registered, cache)
    assert nothing_is_left(cache)


def test_the_size_is_that_of_the_files(registered, stored):
    weighs = sum(path.stat().st_size for path in stored.iterdir() if path.is_file())
    assert artifacts.size_of(registered.uri) == weighs


@pytest.mark.parametrize("uri", ["@production", "/production", "/99"])
def test_a_registry_that_answers_says_that_there_is_none(registered, uri):
    with pytest.raises(NoSuchVersion, match=f"a model version at models:/{STUDENTS}{uri}"):
        resolve(f"models:/{STUDENTS}{uri}")
