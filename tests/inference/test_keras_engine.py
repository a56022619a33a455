from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest

from tomodistill.errors import InputError
from tomodistill.inference.keras_engine import BATCH_SIZES, KerasEngine
from tomodistill.inference.version import load_model
from tomodistill.networks.adopted import with_logits
from tomodistill.networks.build import build


@pytest.fixture
def engine(version_folder: Path) -> KerasEngine:
    return KerasEngine(load_model(version_folder))


class ResourceExhaustedError(Exception):
    """As TensorFlow has one, and JAX in the words of its own."""


class Device:
    """In the place of the compiled function: with memory for so many volumes."""

    def __init__(self, memory: int, error: Exception) -> None:
        self.memory, self.error = memory, error
        self.sizes: list[int] = []

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.sizes.append(len(batch))
        if len(batch) > self.memory:
            raise self.error
        return batch.sum(axis=(2, 3, 4))[:, :3]


OUT_OF_MEMORY = (
    ResourceExhaustedError("OOM when allocating tensor"),
    RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 byte"),
)


@pytest.mark.parametrize("count", [1, 3, 5, 65])
def test_padding_and_splitting_change_nothing(
    engine: KerasEngine, version_volumes: np.ndarray, count: int
) -> None:
    volumes = version_volumes[:count]
    logits = engine.logits(volumes)
    assert logits.shape == (count, 3)
    expected = engine.model.predict(volumes[..., None], batch_size=7, verbose=0)
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    assert np.ptp(logits, axis=0).min() > 0.1 or count == 1  # items do differ


def test_only_the_fixed_sizes_are_ever_run(
    engine: KerasEngine, version_volumes: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(64, RuntimeError())
    monkeypatch.setattr(engine, "_function", device)
    for count in (1, 2, 4, 5, 16, 17, 64, 65, 70):
        assert engine.logits(version_volumes[:count]).shape == (count, 3)
    assert device.sizes == [1, 4, 4, 16, 16, 64, 64, 64, 1, 64, 16]
    device.sizes.clear()
    engine.warm_up()
    assert device.sizes == list(BATCH_SIZES)


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_without_memory_batches_shrink_and_it_says_so_once(
    engine: KerasEngine,
    version_volumes: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    device = Device(20, error)
    monkeypatch.setattr(engine, "_function", device)
    found = [engine.logits(version_volumes[:40]) for _ in range(2)]
    assert device.sizes == [64, 16, 16, 16, 16, 16, 16]
    expected = version_volumes[:40].sum(axis=(2, 3))[:, :3]
    np.testing.assert_allclose(found, [expected, expected], rtol=1e-4)
    assert capsys.readouterr().err == f"{engine.device} is out of memory: batches of 16\n"


def test_threads_that_run_out_of_memory_together_shrink_it_once(
    engine: KerasEngine,
    version_volumes: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(engine, "_function", Device(20, OUT_OF_MEMORY[0]))
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(engine.logits, [version_volumes] * 12))
    assert {logits.shape for logits in found} == {(70, 3)}
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_no_memory_for_a_single_volume_is_refused(
    engine: KerasEngine,
    version_volumes: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    monkeypatch.setattr(engine, "_function", Device(0, error))
    with pytest.raises(InputError, match=r"memory for one subtomogram on .*engine=openvino"):
        engine.logits(version_volumes)


def test_other_errors_pass_as_they_are(
    engine: KerasEngine, version_volumes: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_function", Device(20, RuntimeError("a bug")))
    with pytest.raises(RuntimeError, match="a bug"):
        engine.logits(version_volumes)


def test_the_device_is_named(engine: KerasEngine) -> None:
    assert engine.device.split(":")[0] in ("cpu", "gpu", "tpu", "cuda")


def adopted() -> keras.Model:
    """A stranger's classifier, with a network inside the network."""
    layers = [
        keras.Input((12, 12, 12)),
        keras.layers.Reshape((12, 12, 12, 1)),
        keras.layers.Conv3D(4, 3, activation="relu"),
        keras.layers.GlobalAveragePooling3D(),
        keras.layers.Dense(3, activation="softmax"),
    ]
    return with_logits(keras.Sequential(layers), box=12, classes=3)


@pytest.mark.parametrize("network", ["fast-1-3s2w8-16x1", "rb3d", "adopted"])
def test_bfloat16_is_near_and_not_the_same(rng: np.random.Generator, network: str) -> None:
    keras.utils.set_random_seed(1)
    model = adopted() if network == "adopted" else build(network, box=12, classes=3)
    volumes = rng.normal(size=(8, 12, 12, 12)).astype(np.float32)
    exact, reduced = KerasEngine(model), KerasEngine(model, "bfloat16")
    assert (exact.precision, reduced.precision) == ("float32", "bfloat16")
    wanted, found = exact.logits(volumes), reduced.logits(volumes)
    assert found.dtype == np.float32
    difference = np.abs(wanted - found).max()
    assert 0 < difference < 0.05 * np.abs(wanted).max()
    np.testing.assert_array_equal(exact.logits(volumes), wanted)  # the model itself is as it was
    assert {weight.dtype for weight in reduced.model.weights} == {"float32"}
