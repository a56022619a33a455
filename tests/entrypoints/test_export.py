"""`export` of untrained students, whose files are used as their README says and by nothing else."""

import json
import re
from dataclasses import replace
from pathlib import Path

import keras
import mlflow
import numpy as np
import onnxruntime
import openvino
import pytest
from mlflow.tracking import MlflowClient
from scipy.special import softmax

from entrypoints import export
from entrypoints.__main__ import main as entry
from tests.processes import working_in
from tests.versions import CALIBRATION, MANIFEST, UNKNOWN
from tomodistill.inference.classifier import Classifier
from tomodistill.inference.export import write_openvino
from tomodistill.inference.keras_engine import KerasEngine
from tomodistill.inference.version import file_digest, write_version
from tomodistill.subtomograms.preprocessing import Preprocessing
from tomodistill.tracking.flavor import log_version
from tomodistill.tracking.registry import register, set_production

BOX, EDGE = 16, 9  # voxels of the stored box, and of what the network sees
MANIFESTS = {
    "1": replace(
        MANIFEST,
        network="f1",
        box=BOX,
        preprocessing=Preprocessing(lowpass=30.0, crop=EDGE),
        calibration=CALIBRATION,
        unknown=UNKNOWN,
    ),
    "2": replace(MANIFEST, network="s3", box=BOX, contrast="bright", preprocessing=Preprocessing()),
}
FORMATS = ("openvino", "onnx")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Version 1 with OpenVINO's files, of a network on cropped boxes; version 2 without, served."""
    folder = tmp_path_factory.mktemp("export")
    with working_in(folder, f"sqlite:///{folder}/mlflow.db"):
        for version in MANIFESTS:
            with mlflow.start_run():
                logged = log_version(f"version-{version}", lambda to, of=version: write(to, of))
            tags = {"student": MANIFESTS[version].network}
            register(logged.model_id, digest=logged.digest, tags=tags)
        set_production("2", {})
        yield folder


def write(folder, version):
    """A version whose probe's answers differ."""
    keras.utils.set_random_seed(int(version))
    manifest = MANIFESTS[version]
    model = network(manifest.preprocessing.edge(BOX))
    shape = (4, BOX, BOX, BOX)
    probe = np.random.default_rng(0).normal(3.0, 2.0, size=shape).astype(np.float32)
    logits = Classifier(manifest, KerasEngine(model)).logits(probe)
    assert np.ptp(softmax(logits, axis=1), axis=0).max() > 0.1
    made = folder.with_name("artifacts")
    made.mkdir()
    artifacts = write_openvino(model, made) if version == "1" else ()
    return write_version(
        folder, manifest, model, probe=probe, probe_logits=logits, artifacts=artifacts
    )


def network(edge):
    layers = keras.layers
    large = keras.initializers.RandomNormal(stddev=0.3)  # logits of deviation 2 or so
    inputs = keras.Input((edge, edge, edge, 1))
    found = layers.Conv3D(4, 3, strides=2, padding="same", activation="relu")(inputs)
    logits = layers.Dense(3, kernel_initializer=large)(layers.Flatten()(found))
    return keras.Model(inputs, logits)


def by_the_readme(out):
    """(4, 3) logits of the probe, from what lies in the folder."""
    volumes, matrix = np.load(out / "probe.npy"), np.load(out / "filter.npy")
    steps = re.findall(r"^  (\d)\. (\w+)", (out / "README.txt").read_text(), re.M)
    for axis in (1, 2, 3):
        volumes = np.moveaxis(np.tensordot(matrix, volumes, axes=(1, axis)), 0, axis)
    volumes = volumes - volumes.mean(axis=(1, 2, 3), keepdims=True)
    volumes = volumes / volumes.std(axis=(1, 2, 3), keepdims=True)
    assert [verb for _, verb in steps[:2]] == ["multiply", "subtract"]
    if ("3", "change") in steps:
        volumes = -volumes
    shape = re.search(r"Input: float32 \(n, (.+?)\)", (out / "README.txt").read_text()).group(1)
    return answer(out, volumes.reshape(-1, *map(int, shape.split(", "))).astype(np.float32))


def answer(out, volumes):
    if (out / "model.onnx").exists():
        session = onnxruntime.InferenceSession(out / "model.onnx")
        return session.run(None, {session.get_inputs()[0].name: volumes})[0]
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    return openvino.Core().compile_model(out / "openvino.xml", "CPU", settings)(volumes)[0]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("version", MANIFESTS)
def test_whoever_follows_the_readme_gets_the_versions_answers(store, format, version, capsys):
    out = Path(f"{format}-{version}")
    assert entry(["export", "--version", version, "--format", format, "--out", str(out)]) == 0
    assert str(out.absolute()) in capsys.readouterr().out
    expected = softmax(np.load(out / "probe_logits.npy"), axis=1)
    np.testing.assert_allclose(softmax(by_the_readme(out), axis=1), expected, atol=1e-3)


def test_the_readme_names_what_a_server_must_know(store):
    for version in MANIFESTS:
        entry(["export", "--version", version, "--out", f"read-{version}"])
    of_1, of_2 = (Path(f"read-{version}/README.txt").read_text() for version in MANIFESTS)
    assert "Version 1 of subtomogram-student: f1" in of_1
    assert "Input: float32 (n, 9, 9, 9" in of_1
    assert "Input: float32 (n, 16, 16, 16" in of_2
    assert "logits of ribosome, proteasome, chaperonin." in of_1
    assert "cube of 16 voxels of 10 A, dark particles" in of_1
    assert "low-pass at 30 A, Fourier crop to 9 voxels" in of_1
    assert "softmax(logits / 2)" in of_1
    assert "softmax(logits / 1)" in of_2
    assert "max_probability below 0.45" in of_1
    assert "change the sign" not in of_2


def test_the_files_of_a_version_are_taken_as_they_are(store):
    assert entry(["export", "--student", "f1", "--out", "own"]) == 0
    (folder,) = Path("data/models/subtomogram-student").glob("1-*")
    files = json.loads((folder / "manifest.json").read_text())["files"]
    for name in ("openvino.xml", "openvino.bin", "probe.npy"):
        assert file_digest(Path("own", name)) == files[name]


def test_without_flags_what_is_in_production_goes_into_the_data_folder(store, capsys):
    assert entry(["export"]) == 0
    out = Path("data/exports/subtomogram-student-2-openvino")
    assert {"openvino.xml", "openvino.bin", "README.txt"} <= {p.name for p in out.iterdir()}
    run = MlflowClient().search_runs(["0"], "tags.phase = 'export'")[0]
    assert run.data.tags["version"] == "2"
    assert run.data.metrics["export/largest_difference"] < 1e-4
    shown = {a.path for a in MlflowClient().list_artifacts(run.info.run_id)}
    assert shown == {path.name for path in out.iterdir()}
    assert entry(["export"]) == 2
    assert f"found {out.absolute()}. Give another with out=FOLDER" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--format", "tflite"], "format: openvino or onnx; found 'tflite'"),
        (["--version", "99"], "a model version at models:/subtomogram-student/99"),
        (["--student", "s1"], "a registered version of s1"),
        (["--out", "mlflow.db"], "out: a folder that is new or empty"),
        (["--out", "mlflow.db/deeper"], "out: a folder that can be written"),
    ],
)
def test_what_cannot_be_exported_is_refused(store, arguments, words, capsys):
    assert entry(["export", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_files_that_answer_otherwise_are_not_given_out(store, monkeypatch, capsys):
    def twice(path, volumes):
        return 2 * sound.answer(path, volumes)

    sound = export.FORMATS["openvino"]
    monkeypatch.setitem(export.FORMATS, "openvino", replace(sound, answer=twice))
    assert entry(["export", "--out", "wrong"]) == 2
    assert "the probe's probabilities within 0.001" in capsys.readouterr().err
    assert list(Path("wrong").iterdir()) == []
    run = MlflowClient().search_runs(["0"], "tags.phase = 'export'")[0]
    assert run.info.status == "FAILED"
