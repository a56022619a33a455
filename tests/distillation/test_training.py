"""On a problem of a few voxels: three patterns under noise, a network of one dense layer."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from tomodistill.distillation.batches import Batches
from tomodistill.distillation.config import Training
from tomodistill.distillation.losses import (
    HARD,
    accuracy,
    agreement,
    hard_label_loss,
    pack_targets,
    soft_label_loss,
)
from tomodistill.distillation.training import History, train
from tomodistill.errors import InputError

CONFIG = Training(learning_rate=0.02, batch_size=16, epochs=6, patience=6, augment=False)
CURVES = {"train/loss", "train/accuracy", "val/loss", "val/accuracy"}


@pytest.fixture
def model() -> keras.Model:
    keras.utils.set_random_seed(1)
    layers = [keras.Input((4, 4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    return keras.Sequential(layers)


def batches(items: int, seed: int, *, teacher_shift: int = 0, label_shift: int = 0) -> Batches:
    """Items of three fixed patterns; shifts make teacher or labels say the next class."""
    rng, labels = np.random.default_rng(seed), np.arange(items) % 3
    patterns = np.random.default_rng(99).normal(size=(3, 4, 4, 4))
    volumes = (patterns[labels] + rng.normal(0, 0.5, (items, 4, 4, 4))).astype(np.float32)
    teacher = 8 * np.eye(3, dtype=np.float32)[(labels + teacher_shift) % 3][:, None]
    targets = pack_targets(teacher_logits=teacher, labels=(labels + label_shift) % 3)
    return Batches(volumes, targets, views=("identity",), batch_size=16, seed=seed)


def test_a_small_problem_is_learned(model: keras.Model) -> None:
    history = train(model, batches(96, 1), batches(48, 2), config=CONFIG, loss=hard_label_loss)
    curves = history.curves
    assert set(curves) == CURVES
    assert {len(values) for values in curves.values()} == {CONFIG.epochs}
    assert curves["train/loss"][-1] < 0.2 * curves["train/loss"][0]
    assert curves["val/accuracy"][-1] > 0.97


def test_soft_and_hard_labels_teach_different_things(model: keras.Model) -> None:
    data, validation = batches(96, 1, teacher_shift=1), batches(48, 2, teacher_shift=1)
    loss, metrics = soft_label_loss(5.0), (accuracy, agreement)
    soft = train(model, data, validation, config=CONFIG, loss=loss, metrics=metrics).curves
    assert set(soft) == CURVES | {"train/agreement", "val/agreement"}
    assert soft["val/agreement"][-1] > 0.97
    assert soft["val/accuracy"][-1] < 0.03


def test_the_same_seeds_train_the_same_network() -> None:
    def run() -> tuple[History, list[np.ndarray]]:
        keras.utils.set_random_seed(1)
        made = keras.Sequential([keras.Input((4, 4, 4, 1)), keras.layers.Flatten()])
        made.add(keras.layers.Dense(3))
        config = replace(CONFIG, epochs=2)
        history = train(made, batches(48, 1), batches(48, 2), config=config, loss=hard_label_loss)
        return history, made.get_weights()

    (one, one_weights), (two, two_weights) = run(), run()
    assert one == two
    for a, b in zip(one_weights, two_weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("patience", "epochs"), [(6, 6), (2, 3)])
def test_the_best_weights_stay(model: keras.Model, patience: int, epochs: int) -> None:
    # validation says another class throughout, so that its loss grows from the first epoch on,
    # whether training stops early (patience 2) or runs to its end (patience 6)
    validation = batches(48, 2, label_shift=1)
    config = replace(CONFIG, patience=patience)
    history = train(model, batches(96, 1), validation, config=config, loss=hard_label_loss)
    losses = history.curves["val/loss"]
    assert len(losses) == epochs
    assert min(losses) == losses[0] < losses[-1] - 0.1
    now = model.evaluate(validation, verbose=0, return_dict=True)["loss"]
    assert now == pytest.approx(losses[0], rel=1e-5)


def test_cosine_ends_at_zero(model: keras.Model) -> None:
    train(model, batches(48, 1), batches(48, 2), config=CONFIG, loss=hard_label_loss)
    schedule = model.optimizer._learning_rate
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert int(model.optimizer.iterations) == 3 * CONFIG.epochs
    assert float(schedule(0)) == pytest.approx(CONFIG.learning_rate)
    assert float(schedule(9)) == pytest.approx(CONFIG.learning_rate / 2)
    assert float(model.optimizer.learning_rate) == pytest.approx(0, abs=1e-9)


def test_sgd_as_in_the_paper(model: keras.Model) -> None:
    config = replace(CONFIG, optimizer="sgd", schedule="constant", learning_rate=0.005, epochs=2)
    train(model, batches(48, 1), batches(48, 2), config=config, loss=hard_label_loss)
    optimizer = model.optimizer
    assert isinstance(optimizer, keras.optimizers.SGD)
    assert (optimizer.momentum, optimizer.nesterov) == (0.9, True)
    million_steps = float(optimizer._learning_rate(np.float32(1e6)))
    assert million_steps == pytest.approx(0.005 / (1 + 1e-7 * 1e6), rel=1e-5)


def test_each_epoch_is_reported_as_it_ends(model: keras.Model) -> None:
    seen: list[tuple[int, dict[str, float]]] = []
    history = train(
        model,
        batches(48, 1),
        batches(48, 2),
        config=replace(CONFIG, epochs=3),
        loss=hard_label_loss,
        on_epoch=lambda epoch, metrics: seen.append((epoch, dict(metrics))),
    )
    assert [epoch for epoch, _ in seen] == [1, 2, 3]
    for name in CURVES:
        assert [metrics[name] for _, metrics in seen] == history.curves[name]


def test_a_loss_that_is_no_number_is_an_error(model: keras.Model) -> None:
    data = batches(48, 1)
    data.volumes[5] = np.nan
    with pytest.raises(InputError, match="finite training loss; found nan in epoch 1") as caught:
        train(model, data, batches(48, 2), config=CONFIG, loss=hard_label_loss)
    assert "0.02" in caught.value.todo


def test_unlabelled_items_say_nothing_of_accuracy(model: keras.Model) -> None:
    """Two thirds of the labels are forgotten: accuracy is over the others, the loss the same."""
    losses, accuracies = [], []
    for known in (96, 32):
        data = batches(96, 1)
        data.targets[known:, :, HARD] = 0
        keras.utils.set_random_seed(1)
        fresh = keras.models.clone_model(model)
        curves = train(fresh, data, batches(48, 2), config=CONFIG, loss=soft_label_loss(5.0)).curves
        losses.append(curves["train/loss"])
        accuracies.append(curves["train/accuracy"][-1])
    assert losses[0] == losses[1]
    assert accuracies == pytest.approx([1, 1], abs=0.04)


def test_without_any_label_there_is_no_accuracy(model: keras.Model) -> None:
    data = batches(48, 1)
    data.targets[:, :, HARD] = 0
    curves = train(model, data, batches(48, 2), config=CONFIG, loss=soft_label_loss(5.0)).curves
    assert curves["train/accuracy"] == [0.0] * CONFIG.epochs
    assert curves["val/accuracy"][-1] > 0.97
