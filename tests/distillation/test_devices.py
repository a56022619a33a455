"""Backends, virtual devices and precisions train the same tiny network to the same loss."""

import keras
import numpy as np
import pytest

from tests.distillation.tiny_training import in_a_process, tiny_network, tiny_training
from tomodistill.distillation.devices import computing_in, devices_for
from tomodistill.errors import InputError

PLAIN = {"random": False, "items": 32}
ROUNDING = 1e-5  # of the loss, relative: sums in another order, four epochs long
TWO_DEVICES = {
    "tensorflow": {"TENSORFLOW_DEVICES": "2"},
    "jax": {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
}


@pytest.fixture(scope="module")
def plain():
    """On TensorFlow, one CPU, float32."""
    return tiny_training(**PLAIN)


@pytest.fixture(scope="module")
def on_jax():
    """In one process: the same, and in half precision."""
    return in_a_process("jax", PLAIN, {**PLAIN, "precision": "mixed_float16"})


def assert_alike(one, two, *, rtol=ROUNDING):
    assert one["curves"].keys() == two["curves"].keys()
    for name in ("train/loss", "val/loss"):
        np.testing.assert_allclose(one["curves"][name], two["curves"][name], rtol=rtol)


def test_the_problem_is_learned(plain):
    losses = plain["curves"]["train/loss"]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.95 * losses[0]


def test_tensorflow_and_jax_train_to_the_same_loss(plain, on_jax):
    assert_alike(plain, on_jax[0])
    for one, two in zip(plain["weights"], on_jax[0]["weights"], strict=True):
        np.testing.assert_allclose(one, two, atol=1e-4)
    assert "mlflow" not in on_jax[0]["loaded"]


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_train_to_the_same_loss(plain, backend):
    shared, uneven = in_a_process(
        backend, PLAIN, {"items": 33, "epochs": 1}, **TWO_DEVICES[backend]
    )
    assert shared["devices"] == ["cpu:0", "cpu:1"]
    assert_alike(plain, shared)
    for one, two in zip(plain["weights"], shared["weights"], strict=True):
        np.testing.assert_allclose(one, two, atol=1e-4)
    assert np.isfinite(uneven["curves"]["val/loss"]).all()  # dropout, augmentation, an odd item


def test_bfloat16_trains_to_about_the_same_loss(plain):
    mixed = tiny_training(**PLAIN, precision="mixed_bfloat16")
    assert_alike(plain, mixed, rtol=0.02)
    assert mixed["curves"]["train/loss"] != plain["curves"]["train/loss"]


def test_half_precision_scales_its_loss(plain, on_jax):
    half = on_jax[1]
    assert half["optimizer"] == "LossScaleOptimizer"
    assert_alike(plain, half, rtol=0.01)
    assert half["curves"]["train/loss"] != on_jax[0]["curves"]["train/loss"]


def test_half_precision_without_a_gpu_is_refused():
    with pytest.raises(InputError, match="expected a GPU for precision mixed_float16; found none"):
        tiny_training(**PLAIN, precision="mixed_float16")


def test_hidden_layers_alone_compute_in_another_precision():
    model = tiny_network(0.5)
    volumes = np.random.default_rng(1).normal(size=(2, 8, 8, 8, 1)).astype(np.float32)
    before = np.asarray(model(volumes))
    with computing_in("mixed_bfloat16", model):
        assert {layer.compute_dtype for layer in model.layers[1:-1]} == {"bfloat16"}
        within = model(volumes)
        assert keras.backend.standardize_dtype(within.dtype) == "float32"
        assert 0 < np.abs(np.asarray(within) - before).max() < 0.05
        assert {str(weight.dtype) for weight in model.weights} == {"float32"}
    np.testing.assert_array_equal(np.asarray(model(volumes)), before)
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}


@pytest.mark.parametrize(
    ("there", "batch_size", "items", "taken"),
    [(1, 8, 100, 1), (4, 8, 100, 4), (3, 8, 100, 2), (8, 64, 5, 4), (2, 7, 100, 1)],
)
def test_as_many_devices_as_share_a_batch_evenly(there, batch_size, items, taken, monkeypatch):
    names = [f"gpu:{number}" for number in range(there)]
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: names)
    found = devices_for(batch_size=batch_size, items=items, precision="mixed_float16")
    assert found == names[:taken]
