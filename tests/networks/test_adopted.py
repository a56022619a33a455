from pathlib import Path

import keras
import numpy as np
import pytest

from tomodistill.errors import InputError
from tomodistill.networks.adopted import with_logits

BOX = 6


def foreign(*shape: int, classes: int = 3) -> keras.Model:
    """Ends in a softmax, as most classifiers do."""
    last = keras.layers.Dense(classes, activation="softmax")
    return keras.Sequential([keras.Input(shape), keras.layers.Flatten(), last])


@pytest.fixture
def volumes(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(5, BOX, BOX, BOX)).astype(np.float32)


@pytest.mark.parametrize("channel", [(), (1,)])
def test_logits_give_the_same_probabilities(
    volumes: np.ndarray, channel: tuple[int, ...], tmp_path: Path
) -> None:
    model = foreign(BOX, BOX, BOX, *channel)
    expected = np.asarray(model(volumes.reshape(-1, BOX, BOX, BOX, *channel)))
    with_logits(model, box=BOX, classes=3).save(tmp_path / "adopted.keras")
    adopted = keras.saving.load_model(tmp_path / "adopted.keras", safe_mode=True)
    assert (adopted.input_shape, adopted.output_shape) == ((None, BOX, BOX, BOX, 1), (None, 3))
    logits = np.asarray(adopted(volumes[..., None]))
    np.testing.assert_allclose(keras.ops.softmax(logits), expected, rtol=1e-5)
    assert logits.max() < 0


def test_certain_answers_stay_finite(volumes: np.ndarray) -> None:
    model = foreign(BOX, BOX, BOX, 1)
    model.set_weights([np.zeros((BOX**3, 3)), np.array([0.0, 2000.0, -2000.0])])
    logits = np.asarray(with_logits(model, box=BOX, classes=3)(volumes[..., None]))
    assert np.isfinite(logits).all()
    assert (logits[:, 1] > logits[:, [0, 2]].max(axis=1) + 80).all()


@pytest.mark.parametrize(
    ("shape", "classes", "found"),
    [
        ((7, 7, 7, 1), 3, "(None, 7, 7, 7, 1)"),
        ((BOX, BOX, BOX, 2), 3, "(None, 6, 6, 6, 2)"),
        ((BOX, BOX * BOX), 3, "(None, 6, 36)"),
        ((BOX, BOX, BOX, 1), 4, "(None, 4)"),
    ],
)
def test_other_shapes_are_refused(shape: tuple[int, ...], classes: int, found: str) -> None:
    with pytest.raises(InputError) as caught:
        with_logits(foreign(*shape, classes=classes), box=BOX, classes=3)
    assert caught.value.found == found


def test_a_model_that_was_never_built_is_refused() -> None:
    with pytest.raises(InputError, match="found None"):
        with_logits(keras.Sequential([keras.layers.Flatten()]), box=BOX, classes=3)
