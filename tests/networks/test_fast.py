import keras
import pytest

from tomodistill.errors import InputError
from tomodistill.networks.build import build, gflop
from tomodistill.networks.fast import EXAMPLE, Fast, is_fast
from tomodistill.networks.layers import Convolution, GlobalPooling, Pooling
from tomodistill.networks.table import find_network, network

TWO_STAGES = Fast(2.0, 5, 2, 32, ((64, 2), (128, 2)))


@pytest.mark.parametrize(
    ("name", "fast"),
    [
        (EXAMPLE, TWO_STAGES),
        ("fast-1-4s4w48-64x1", Fast(1.0, 4, 4, 48, ((64, 1),))),
        ("fast-1.6-3s1w8-16x1-16x3-8x1", Fast(1.6, 3, 1, 8, ((16, 1), (16, 3), (8, 1)))),
    ],
)
def test_a_name_says_all(name: str, fast: Fast) -> None:
    assert Fast.parse(name) == fast
    assert fast.name == name
    assert network(name) == find_network(name, "student") == fast.network()
    assert fast.network().name == name


@pytest.mark.parametrize(
    "name",
    [
        "fast-",
        "fast-0.5-5s2w32-64x2",  # binning below 1
        "fast-2-5s2w32",
        "fast-2-5s0w32-64x2",
        "fast-2-5s2w32-64x0",
        "fast-2-5s2w32-64x2-",
        "fast-2-5s2-64x2",
    ],
)
def test_what_claims_to_be_of_the_family_and_is_not(name: str) -> None:
    assert is_fast(name)
    with pytest.raises(InputError, match="a fast student by its architecture"):
        find_network(name, "student")


def test_layers_in_their_order() -> None:
    assert TWO_STAGES.network().layers == (
        Convolution(32, 5, 2),
        Convolution(64),
        Convolution(64),
        Pooling((2, 2, 2)),
        Convolution(128),
        Convolution(128),
        GlobalPooling(),
    )


def test_it_is_built_on_its_smaller_input() -> None:
    model = build(EXAMPLE, box=40, classes=23)
    assert model.input_shape == (None, 20, 20, 20, 1)
    shapes = [layer.output.shape[1:] for layer in model.layers[1:]]
    edges = [shape[:-1] for shape in shapes[:-2]]
    assert edges == [(10,) * 3] * 3 + [(5,) * 3] * 3
    assert shapes[-2:] == [(128,), (23,)]
    # the stem's kernel at 10³, two convolutions there, two at 5³, then one dense layer
    stages = 10**3 * (125 * 32 + 27 * (32 * 64 + 64 * 64)) + 5**3 * 27 * (64 * 128 + 128 * 128)
    assert gflop(model) == pytest.approx(2e-9 * (stages + 128 * 23))
    kernels = 125 * 32 + 27 * (32 * 64 + 64 * 64 + 64 * 128 + 128 * 128) + 128 * 23
    assert model.count_params() == kernels + 32 + 64 * 2 + 128 * 2 + 23


def test_the_mean_over_space_is_what_it_decides_by() -> None:
    model = build("fast-1-3s2w4-8x1", box=8, classes=2)
    pooled = model.get_layer("globalpooling1")
    assert isinstance(pooled, keras.layers.GlobalAveragePooling3D)
    assert pooled.output.shape == (None, 8)


def test_a_box_too_small_is_refused() -> None:
    with pytest.raises(InputError, match=f"6 voxels or more for {EXAMPLE}; found 5"):
        build(EXAMPLE, box=5, classes=2)
