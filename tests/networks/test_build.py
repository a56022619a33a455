import keras
import numpy as np
import pytest

from tomodistill.errors import InputError
from tomodistill.networks.build import build, gflop
from tomodistill.networks.table import NETWORKS


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


@pytest.mark.parametrize(
    ("name", "linear"),
    [
        ("s3", ["logits"]),
        ("rb3d", [*(f"bottleneck{number}_out" for number in range(1, 5)), "logits"]),
    ],
)
def test_every_hidden_layer_has_a_relu(name: str, linear: list[str]) -> None:
    model = build(name, box=27 if name == "s3" else 4, classes=3)
    weighted = layers(model, keras.layers.Conv3D) + layers(model, keras.layers.Dense)
    activations = {layer.name: layer.activation.__name__ for layer in weighted}
    assert set(activations.values()) == {"relu", "linear"}
    assert [of for of, activation in activations.items() if activation == "linear"] == linear


@pytest.mark.parametrize(
    ("name", "own", "given", "none"),
    [
        ("dsrf3d_v2", [0.7, 0.7], [0.3, 0.3], []),
        ("rb3d", [0.7] * 4 + [0.5, 0.5], [0.7] * 4 + [0.3, 0.3], [0.7] * 4),
        ("s3", [], [0.3], []),
    ],
)
def test_dropout_is_the_tables_or_the_callers(
    name: str, own: list[float], given: list[float], none: list[float]
) -> None:
    def rates(dropout: float | None = None) -> list[float]:
        model = build(name, box=NETWORKS[name].smallest_box, classes=2, dropout=dropout)
        return [layer.rate for layer in layers(model, keras.layers.Dropout)]

    assert (rates(), rates(0.3), rates(0.0)) == (own, given, none)


def test_a_bottleneck_stands_beside_its_shortcut(rng: np.random.Generator) -> None:
    model = build("rb3d", box=4, classes=2)
    names = ("pool", "pooling1"), ("shortcut", "bottleneck1_shortcut"), ("out", "bottleneck1_out")
    parts = {part: model.get_layer(of).output for part, of in names}
    parts["block"] = model.get_layer("bottleneck1").output
    volumes = rng.normal(size=(2, 4, 4, 4, 1)).astype(np.float32)
    found = {k: np.asarray(v) for k, v in keras.Model(model.input, parts)(volumes).items()}
    assert found["shortcut"].shape == found["out"].shape == (2, 2, 2, 2, 16)
    both = np.concatenate([found["shortcut"], found["out"]], axis=-1)
    np.testing.assert_array_equal(found["block"], np.maximum(both, 0))
    assert (found["out"] < 0).any()


@pytest.mark.parametrize(("name", "box"), [("rb3d", 4), ("cb3d", 16)])
def test_further_teachers_learn(name: str, box: int, rng: np.random.Generator) -> None:
    keras.utils.set_random_seed(1)
    volumes = rng.normal(size=(4, box, box, box, 1)).astype(np.float32)
    model = build(name, box=box, classes=2, dropout=0.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e-3), loss)
    labels = np.array([0, 1, 0, 1])
    fitted = model.fit(volumes, labels, epochs=8, verbose=0, shuffle=False)
    assert fitted.history["loss"][-1] < 0.9 * fitted.history["loss"][0]


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


def test_gflop_of_blocks_and_padding_by_hand() -> None:
    # rb3d at 4³: C32 at 4³, four blocks of 32 -> 16 and 32 -> 16 -> 32 -> 16 at 2³, flatten 256
    block = 27 * 32 * 16 + 32 * 16 + 27 * 16 * 32 + 32 * 16
    expected = 4**3 * 27 * 32 + 4 * 2**3 * block + 256 * 1024 + 1024**2 + 1024 * 3
    assert gflop(build("rb3d", box=4, classes=3)) == pytest.approx(2e-9 * expected)
    # cb3d at 16³: its first pooling leaves z alone, its last sees 2 x 3 x 3
    edges = (16**3, 16 * 8**2, *[8 * 4**2] * 2, *[4 * 2**2] * 2, *[2 * 1**2] * 2)
    widths = (1, 64, 128, 256, 256, 512, 512, 512, 512)
    pairs = zip(edges, widths[:-1], widths[1:], strict=True)
    expected = sum(voxels * 27 * a * b for voxels, a, b in pairs)
    expected += 512 * 4096 + 4096**2 + 4096 * 3
    assert gflop(build("cb3d", box=16, classes=3)) == pytest.approx(2e-9 * expected)


def test_gflop_sees_models_within_a_model(student: keras.Model) -> None:
    inputs = keras.Input(student.input_shape[1:])
    assert gflop(keras.Model(inputs, student(inputs))) == gflop(student) > 0
