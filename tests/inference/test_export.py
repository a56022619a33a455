import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest

from tests.processes import PATIENCE, environment
from tomodistill.errors import InputError
from tomodistill.inference.export import onnx_logits, write_onnx, write_openvino
from tomodistill.inference.gate import largest_difference
from tomodistill.inference.keras_engine import KerasEngine
from tomodistill.inference.openvino_engine import OpenVINOEngine
from tomodistill.networks.adopted import with_logits
from tomodistill.networks.build import build

TOLERANCE = 1e-4  # of a logit; these are of the order of 1
CASES = {  # name -> box
    "s3": 28,
    "rb3d": 9,
    "fast-1-5s2w8-16x2-32x1": 13,
    "fast-1-4s3w8-16x1": 14,
    "fast-2-6s2w8-16x1": 20,
}


def network(name: str, box: int) -> keras.Model:
    """With random biases too."""
    keras.utils.set_random_seed(3)
    model = build(name, box=box, classes=5)
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(keras.random.normal(weight.shape, stddev=0.1))
    return model


def padded_and_uneven() -> keras.Model:
    """What is left of the layers: margins, unequal pooling, 'valid' and dilated convolutions."""
    inputs = keras.Input((14, 14, 14, 1))
    x = keras.layers.Conv3D(6, 3, strides=2, padding="valid", use_bias=False)(inputs)
    x = keras.layers.Conv3D(6, 3, dilation_rate=2, groups=3, padding="same")(x)
    x = keras.layers.ZeroPadding3D(((0, 1), (2, 1), (1, 1)))(x)
    x = keras.layers.MaxPooling3D((1, 2, 3), strides=(2, 2, 2), padding="same")(x)
    x = keras.layers.Dropout(0.5)(keras.layers.Flatten()(x))
    return keras.Model(inputs, keras.layers.Dense(5, use_bias=False)(x))


def check(logits: np.ndarray, expected: np.ndarray) -> None:
    assert np.ptp(expected, axis=0).min() > 0.02  # items do differ, far above the tolerance
    assert logits.dtype == np.float32
    assert largest_difference(logits, expected) < TOLERANCE


def answers(model: keras.Model, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Seven volumes as the model sees them, and its logits."""
    volumes = rng.normal(size=(7, *model.input_shape[1:4])).astype(np.float32)
    return volumes, KerasEngine(model).logits(volumes)


@pytest.mark.parametrize("name", CASES)
def test_both_formats_answer_as_keras_does(
    tmp_path: Path, rng: np.random.Generator, name: str
) -> None:
    model = network(name, CASES[name])
    volumes, expected = answers(model, rng)
    path = tmp_path / "network.onnx"
    write_onnx(model, path)
    check(onnx_logits(path, volumes), expected)
    assert largest_difference(onnx_logits(path, volumes[:1]), expected[:1]) < TOLERANCE
    graph, weights = write_openvino(model, tmp_path)
    assert (graph.name, weights.name) == ("openvino.xml", "openvino.bin")
    assert weights.stat().st_size >= 4 * model.count_params()  # float32
    check(OpenVINOEngine(graph).logits(volumes), expected)


def test_padding_is_on_the_side_where_keras_has_it(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    model = padded_and_uneven()
    volumes, expected = answers(model, rng)
    write_onnx(model, tmp_path / "network.onnx")
    check(onnx_logits(tmp_path / "network.onnx", volumes), expected)


def test_an_adopted_teacher_is_exported_to_openvino(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    layers = [
        keras.Input((12, 12, 12)),
        keras.layers.Reshape((12, 12, 12, 1)),
        keras.layers.Conv3D(8, 3, strides=2, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Flatten(),
        keras.layers.Dense(5, activation="softmax"),
    ]
    model = with_logits(keras.Sequential(layers), box=12, classes=5)
    volumes, expected = answers(model, rng)
    graph, _ = write_openvino(model, tmp_path)
    check(OpenVINOEngine(graph).logits(volumes), expected)


def test_an_onnx_file_says_what_it_takes_and_gives(tmp_path: Path) -> None:
    write_onnx(network("s3", 28), tmp_path / "s3.onnx")
    written = onnx.load(tmp_path / "s3.onnx")
    (given,), (answer,) = written.graph.input, written.graph.output
    axes = [axis.dim_param or axis.dim_value for axis in given.type.tensor_type.shape.dim]
    assert (given.name, axes) == ("subtomogram", ["n", 28, 28, 28])
    axes = [axis.dim_param or axis.dim_value for axis in answer.type.tensor_type.shape.dim]
    assert (answer.name, axes) == ("logits", ["n", 5])
    assert written.opset_import[0].version == 17


@pytest.mark.parametrize(
    ("layer", "found"),
    [
        (keras.layers.LayerNormalization(name="strange"), r"LayerNormalization \(strange\)"),
        (keras.layers.Conv3D(2, 1, activation="gelu", name="odd"), "the activation gelu in odd"),
        (keras.layers.ReLU(max_value=6, name="capped"), "capped"),
    ],
)
def test_a_layer_that_onnx_is_not_written_of_is_named(
    tmp_path: Path, layer: keras.layers.Layer, found: str
) -> None:
    inputs = keras.Input((4, 4, 4, 1))
    x = keras.layers.GlobalAveragePooling3D()(layer(inputs))
    with pytest.raises(InputError, match=f"layers .* found {found}"):
        write_onnx(keras.Model(inputs, keras.layers.Dense(2)(x)), tmp_path / "network.onnx")
    assert list(tmp_path.iterdir()) == []


def test_on_jax_the_same_files_are_written(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nimport numpy as np\n"
        "from tests.inference.test_export import answers, check, network\n"
        "from tomodistill.inference.export import write_openvino\n"
        "from tomodistill.inference.openvino_engine import OpenVINOEngine\n"
        "model = network('fast-1-5s2w8-16x2-32x1', 13)\n"
        "volumes, expected = answers(model, np.random.default_rng(0))\n"
        "graph, weights = write_openvino(model, Path(sys.argv[1]))\n"
        "check(OpenVINOEngine(graph).logits(volumes), expected)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, os.fspath(tmp_path)],
        env=environment(KERAS_BACKEND="jax"),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
