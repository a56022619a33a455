import json
import shutil
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.versions import CALIBRATION, UNKNOWN, write_random_version
from tomodistill.errors import InputError
from tomodistill.inference.classifier import Classifier
from tomodistill.inference.version import (
    Manifest,
    check_archive,
    file_digest,
    load_model,
    read_manifest,
    write_version,
)
from tomodistill.subtomograms.preprocessing import Preprocessing

FILES = ("model.keras", "probe.npy", "probe_logits.npy")


@pytest.fixture
def copy(version_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(version_folder, tmp_path / "version"))


def edit(folder: Path, **changes: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_manifest_round_trip(version_folder: Path, manifest: Manifest) -> None:
    read = read_manifest(version_folder)
    assert read == replace(manifest, files=read.files, metrics={"seed": 3.0})
    assert isinstance(read.preprocessing, Preprocessing)
    assert isinstance(read.class_names, tuple)
    assert (read.calibration, read.unknown) == (None, None)
    assert read.engines == {"keras": {"float32": {}}}


def test_a_version_from_before_precisions_still_loads(copy: Path) -> None:
    edit(copy, engines={"keras": {}})
    assert Classifier.load(copy).engine.precision == "float32"


def test_artifacts_travel_with_their_digest(openvino_folder: Path, tmp_path: Path) -> None:
    files = read_manifest(openvino_folder).files
    assert files.keys() == {*FILES, "openvino.xml", "openvino.bin"}
    assert files["openvino.bin"] == file_digest(openvino_folder / "openvino.bin")
    copy = Path(shutil.copytree(openvino_folder, tmp_path / "version"))
    content = bytearray((copy / "openvino.bin").read_bytes())
    content[-1] ^= 1
    (copy / "openvino.bin").write_bytes(content)
    with pytest.raises(InputError, match=r"openvino\.bin as it was written"):
        read_manifest(copy)


def test_calibration_and_unknown_come_back_as_they_were(tmp_path: Path) -> None:
    known = {"calibration": CALIBRATION, "unknown": UNKNOWN}
    read = read_manifest(write_random_version(tmp_path / "version", seed=3, **known))
    assert (read.calibration, read.unknown) == (CALIBRATION, UNKNOWN)


@pytest.mark.parametrize(
    "changes",
    [
        {"unknown": {**asdict(UNKNOWN), "score": "depth"}},
        {"unknown": {"threshold": 0.5}},
        {"calibration": {"temperature": 2.0, "colour": "blue"}},
    ],
)
def test_what_cannot_be_used_as_it_was_meant_is_refused(copy: Path, changes: dict) -> None:
    edit(copy, **changes)
    with pytest.raises(InputError, match=r"a model version with a manifest\.json"):
        read_manifest(copy)


def test_the_manifest_names_the_sha256_of_every_other_file(version_folder: Path) -> None:
    assert {path.name for path in version_folder.iterdir()} == {*FILES, "manifest.json"}
    files = read_manifest(version_folder).files
    assert files == {name: file_digest(version_folder / name) for name in FILES}
    assert all(len(digest) == 64 for digest in files.values())


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_in_any_file_is_refused(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name} as it was written"):
        read_manifest(copy)


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_missing_file_is_refused(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(InputError, match=name):
        read_manifest(copy)


def test_a_manifest_that_vouches_for_nothing_is_refused(copy: Path) -> None:
    edit(copy, files={})
    with pytest.raises(InputError, match=r"model\.keras as it was written"):
        read_manifest(copy)


def test_later_files_are_held_to_their_digest_too(copy: Path) -> None:
    edit(copy, files={**read_manifest(copy).files, "engine.xml": "0" * 64})
    with pytest.raises(InputError, match=r"engine\.xml"):
        read_manifest(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"schema_version": 1}'])
def test_a_broken_manifest_is_refused(copy: Path, text: str) -> None:
    (copy / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest\.json"):
        read_manifest(copy)


def test_another_schema_is_refused(copy: Path) -> None:
    edit(copy, schema_version=2, colour="blue")
    with pytest.raises(InputError, match="manifest schema 1; found 2"):
        read_manifest(copy)


def test_a_folder_that_is_no_version_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match="a model version"):
            read_manifest(folder)


def test_a_version_is_never_overwritten(version_folder: Path, manifest: Manifest) -> None:
    before = {path: file_digest(path) for path in version_folder.iterdir()}
    model = load_model(version_folder)
    with pytest.raises(FileExistsError):
        write_version(version_folder, manifest, model, probe=np.zeros(1), probe_logits=np.zeros(1))
    assert before == {path: file_digest(path) for path in version_folder.iterdir()}


def test_only_the_weights_are_stored(tmp_path: Path, manifest: Manifest) -> None:
    model = keras.Sequential([keras.Input((50, 50, 50, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2))

    def loss_no_reader_has(targets: object, logits: keras.KerasTensor) -> keras.KerasTensor:
        return logits[:, 0]

    model.compile("adam", loss_no_reader_has)
    model.train_on_batch(np.ones((1, 50, 50, 50, 1)), np.ones((1, 2)))
    folder = tmp_path / "version"
    write_version(folder, manifest, model, probe=np.zeros(1), probe_logits=np.zeros(1))
    assert (folder / "model.keras").stat().st_size < 1.1 * 4 * model.count_params()
    for written, read in zip(model.get_weights(), load_model(folder).get_weights(), strict=True):
        np.testing.assert_array_equal(written, read)


def replace_model(folder: Path, model: keras.Model) -> None:
    """As an evil tool would: every digest agrees."""
    model.save(folder / "model.keras")
    digest = file_digest(folder / "model.keras")
    edit(
        folder,
        files={
            **json.loads((folder / "manifest.json").read_text())["files"],
            "model.keras": digest,
        },
    )


def test_code_in_a_version_never_runs(copy: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    layer = keras.layers.Lambda(lambda x, path=str(marker): (open(path, "a").close(), x)[1])
    model = load_model(copy)
    replace_model(copy, keras.Model(model.inputs, layer(model.output)))
    marker.unlink()
    with pytest.raises(ValueError, match="Lambda"):
        Classifier.load(copy)
    assert not marker.exists()


def test_an_archive_that_expands_beyond_measure_is_refused_before_it_does(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", bytes(2**24))
        archive.writestr("model.weights.h5", b"")
    check_archive(path)  # small enough, whatever it is
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("more", b"1")
    with pytest.raises(InputError, match="to hold 16,777,216 bytes at most; found 16,777,217"):
        load_model(tmp_path)


def test_an_archive_of_genuine_weights_may_be_large(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", bytes(2**24 + 1))
    check_archive(path)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99))
    with pytest.raises(InputError, match=r"model\.keras to be a Keras archive"):
        load_model(tmp_path)
