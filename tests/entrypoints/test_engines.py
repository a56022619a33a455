"""`exported`: which engines a version gets, and what is said of those that it does not."""

from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from entrypoints import engines as exporting
from entrypoints.engines import Exported, Gated, exported
from tests.versions import FAILED, MANIFEST
from tomodistill.inference.classifier import Classifier
from tomodistill.inference.keras_engine import KerasEngine
from tomodistill.inference.openvino_engine import precisions
from tomodistill.subtomograms.preprocessing import Preprocessing

BOX, EDGE = 8, 5  # voxels: of the set, and of what the network sees
ALONE = {"keras": {"float32": {}}}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    large = keras.initializers.RandomNormal(stddev=0.5)
    inputs = keras.Input((EDGE, EDGE, EDGE, 1))
    features = keras.layers.Conv3D(4, 3, activation="relu")(inputs)
    logits = keras.layers.Dense(3, kernel_initializer=large)(keras.layers.Flatten()(features))
    return keras.Model(inputs, logits)


@pytest.fixture(scope="module")
def reference(model):
    """The network by Keras."""
    manifest = replace(MANIFEST, box=BOX, preprocessing=Preprocessing(crop=EDGE))
    return Classifier(manifest, KerasEngine(model))


def test_each_precision_of_this_machine_is_held_to_keras(model, reference, subtomogram_set):
    data = subtomogram_set
    rows = data.rows("val")
    logits = reference.logits(data.volumes(rows))
    accuracy = float((logits.argmax(axis=1) == data.labels[rows]).mean())
    with exported(model, reference, data) as engines:
        assert [path.name for path in engines.files] == ["openvino.xml", "openvino.bin"]
        assert all(path.is_file() for path in engines.files)
        found = engines.passed("openvino", "float32").logits
        prepared = data.preprocessed(rows, Preprocessing(crop=EDGE))
        np.testing.assert_allclose(found(prepared), logits, atol=1e-4)
    assert not any(path.exists() for path in engines.files)
    assert engines.engines["keras"] == {"float32": {}}
    assert engines.engines["openvino"].keys() == set(precisions())
    in_float32 = engines.engines["openvino"]["float32"]
    assert in_float32["largest_difference"] < 1e-4
    del in_float32["largest_difference"]
    shared = {"accuracy": accuracy, "reference_accuracy": accuracy}
    assert in_float32 == {"agreement": 1.0, "items": len(rows), "passed": True, **shared}


def test_metrics_have_the_names_of_engine_and_precision():
    gated = Gated(SimpleNamespace(name="openvino", precision="bfloat16"), FAILED)
    assert Exported((gated,), ()).metrics() == {
        "engine/openvino/bfloat16/agreement": 0.8,
        "engine/openvino/bfloat16/accuracy": 0.7,
        "engine/openvino/bfloat16/reference_accuracy": 0.9,
        "engine/openvino/bfloat16/largest_difference": 1e-5,
        "engine/openvino/bfloat16/items": 40.0,
        "engine/openvino/bfloat16/passed": 0.0,
    }


def test_what_did_not_pass_is_told_and_not_used():
    engine = SimpleNamespace(name="openvino", precision="bfloat16")
    engines = Exported((Gated(engine, FAILED),), ())
    assert engines.engines["openvino"]["bfloat16"]["passed"] is False
    assert engines.passed("openvino", "bfloat16") is None


def test_a_network_that_cannot_be_exported_has_keras_alone(
    model, reference, subtomogram_set, monkeypatch, capsys
):
    def fail(model, folder):
        raise RuntimeError("no such layer\nand a hundred lines more")

    monkeypatch.setattr(exporting, "write_openvino", fail)
    with exported(model, reference, subtomogram_set) as engines:
        assert (engines.engines, engines.files) == (ALONE, ())
    assert capsys.readouterr().err == "the version has no openvino: RuntimeError: no such layer\n"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda logits: -logits, "an agreement of 0.999 or more"),
        (lambda logits: 1.1 * logits, "probabilities within 0.001"),
        (lambda logits: logits * np.nan, "a difference of nan"),
    ],
)
def test_an_export_that_is_another_network_is_left_out(
    model, reference, subtomogram_set, monkeypatch, capsys, change, words
):
    original = exporting.OpenVINOEngine

    class Changed(original):
        def logits(self, volumes):
            return change(super().logits(volumes))

    monkeypatch.setattr(exporting, "OpenVINOEngine", Changed)
    with exported(model, reference, subtomogram_set) as engines:
        assert (engines.engines, engines.files) == (ALONE, ())
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_on_a_gpu_reduced_precisions_of_keras_are_gated_too(
    model, reference, subtomogram_set, monkeypatch
):
    class Rounding:
        """As if the device computed so."""

        name = "keras"

        def __init__(self, model, precision):
            self.precision = precision

        def logits(self, volumes):
            exact = reference.engine.logits(volumes)
            return exact if self.precision == "bfloat16" else -exact

    monkeypatch.setattr(exporting, "device", lambda: "gpu:0")
    monkeypatch.setattr(exporting, "KerasEngine", Rounding)
    with exported(model, reference, subtomogram_set) as engines:
        assert {p: f.get("passed") for p, f in engines.engines["keras"].items()} == {
            "float32": None,
            "bfloat16": True,
            "float16": False,
        }
        assert engines.passed("keras", "bfloat16").precision == "bfloat16"
