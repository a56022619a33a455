import keras
import numpy as np
import pytest

from tomodistill.errors import InputError
from tomodistill.networks.build import build, gflop


@pytest.fixture(scope="module")
def student() -> keras.Model:
    return build("s3", box=27, classes=5)


def layers(model: keras.Model, kind: type[keras.Layer]) -> list[keras.Layer]:
    return [layer for layer in model.layers if isinstance(layer, kind)]


def test_shapes_and_name(student: keras.Model) -> None:
    assert student.input_shape == (None, 27, 27, 27, 1)
    assert student.output_shape == (None, 5)
    assert student.name == "s3"


def test_outputs_are_logits(student: keras.Model, rng: np.random.Generator) -> None:
    volumes = rng.normal(size=(3, 27, 27, 27, 1)).astype(np.float32)
    features = keras.Model(student.input, student.get_layer("fc1").output)
    kernel, bias = (np.asarray(v) for v in student.get_layer("logits").get_weights())
    expected = np.asarray(features.predict(volumes, verbose=0)) @ kernel + bias
    logits = np.asarray(student.predict(volumes, verbose=0))
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    assert logits.min() < 0  # no probability is


def test_every_hidden_layer_has_a_relu(student: keras.Model) -> None:
    weighted = layers(student, keras.layers.Conv3D) + layers(student, keras.layers.Dense)
    hidden = [layer for layer in weighted if layer.name != "logits"]
    assert {layer.activation.__name__ for layer in hidden} == {"relu"}
    assert student.get_layer("logits").activation.__name__ == "linear"


def test_dropout_is_the_papers_or_the_callers() -> None:
    def rates(dropout: float | None = None) -> list[float]:
        model = build("dsrf3d_v2", box=8, classes=2, dropout=dropout)
        return [layer.rate for layer in layers(model, keras.layers.Dropout)]

    assert rates() == [0.7, 0.7]
    assert rates(0.5) == [0.5, 0.5]
    assert rates(0.0) == []


def test_students_have_no_dropout(student: keras.Model) -> None:
    assert layers(student, keras.layers.Dropout) == []


def test_a_box_too_small_is_refused() -> None:
    with pytest.raises(InputError, match="27 voxels or more for s3; found 26"):
        build("s3", box=26, classes=5)


def test_gflop_counts_by_hand() -> None:
    # 8³: two convolutions at 8³, 4³ and 2³, then three dense layers
    voxels = (8**3, 4**3, 2**3)
    widths = ((1, 32), (32, 32)), ((32, 64), (64, 64)), ((64, 128), (128, 128))
    convolutions = sum(
        n * 27 * sum(a * b for a, b in stage) for n, stage in zip(voxels, widths, strict=True)
    )
    dense = 128 * 1024 + 1024 * 1024 + 1024 * 3
    model = build("dsrf3d_v2", box=8, classes=3)
    assert gflop(model) == pytest.approx(2e-9 * (convolutions + dense))
