from pathlib import Path

import numpy as np
import pytest

from tomodistill.inference.engines import BATCH_SIZES, KerasEngine
from tomodistill.inference.version import load_model


@pytest.fixture(scope="module")
def engine(version_folder: Path) -> KerasEngine:
    return KerasEngine(load_model(version_folder))


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
    sizes = []

    def spy(batch: np.ndarray) -> np.ndarray:
        sizes.append(len(batch))
        return np.zeros((len(batch), 3), np.float32)

    monkeypatch.setattr(engine, "_function", spy)
    for count in (1, 2, 4, 5, 16, 17, 64, 65, 70):
        assert engine.logits(version_volumes[:count]).shape == (count, 3)
    assert sizes == [1, 4, 4, 16, 16, 64, 64, 64, 1, 64, 16]
    sizes.clear()
    engine.warm_up()
    assert sizes == list(BATCH_SIZES)


def test_the_device_is_named(engine: KerasEngine) -> None:
    assert engine.device.split(":")[0] in ("cpu", "gpu", "tpu", "cuda")
