"""One way of training for teachers and students: plain `fit`, on any Keras backend."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import optimizers
from tqdm import tqdm

from tomodistill.distillation.batches import Batches
from tomodistill.distillation.config import Training
from tomodistill.distillation.losses import Loss, accuracy
from tomodistill.errors import InputError

EpochLog = Callable[[int, Mapping[str, float]], None]  # epoch from 1, "train/loss" -> value
_MOMENTUM = 0.9
_DECAY = 1e-7  # a step, of the "constant" schedule: the paper's


@dataclass(frozen=True)
class History:
    """Learning curves: metric name ("train/loss", "val/accuracy", ...) -> value of each epoch."""

    curves: dict[str, list[float]]

    @property
    def epochs(self) -> int:
        """How many were trained."""
        return len(self.curves["train/loss"])


def train(
    model: keras.Model,
    data: Batches,
    validation: Batches,
    *,
    config: Training,
    loss: Loss,
    metrics: Sequence[Loss] = (accuracy,),
    on_epoch: EpochLog = lambda epoch, metrics: None,
) -> History:
    """Train `model` in place; it ends with the weights of its best validation loss.

    Raises InputError if the loss is no longer a number.
    """
    optimizer = _optimizer(config, steps=len(data) * config.epochs)
    model.compile(optimizer=optimizer, loss=loss, metrics=list(metrics))
    log = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: on_epoch(epoch + 1, _named(logs))
    )
    callbacks = [keras.callbacks.TerminateOnNaN(), _early_stop(config), log, _Progress(config)]
    fitted = model.fit(
        data,
        validation_data=validation,
        epochs=config.epochs,
        callbacks=callbacks,
        shuffle=False,
        verbose=0,
    )
    return _history(fitted.history, config)


def _optimizer(config: Training, *, steps: int) -> keras.Optimizer:
    rate = config.learning_rate
    if config.schedule == "cosine":
        schedule: Any = optimizers.schedules.CosineDecay(rate, steps)
    else:
        schedule = optimizers.schedules.InverseTimeDecay(rate, decay_steps=1, decay_rate=_DECAY)
    if config.optimizer == "adam":
        return optimizers.Adam(schedule)
    return optimizers.SGD(schedule, momentum=_MOMENTUM, nesterov=True)


def _early_stop(config: Training) -> keras.callbacks.Callback:
    return keras.callbacks.EarlyStopping(
        monitor="val_loss", patience=config.patience, restore_best_weights=True
    )


def _named(logs: Mapping[str, float]) -> dict[str, float]:
    return {_metric_name(name): float(value) for name, value in logs.items()}


def _metric_name(name: str) -> str:
    """Keras's "val_loss" and "loss" as "val/loss" and "train/loss"."""
    return f"val/{name[4:]}" if name.startswith("val_") else f"train/{name}"


def _history(logs: Mapping[str, list[float]], config: Training) -> History:
    losses = logs["loss"]
    if not np.isfinite(losses).all():
        raise InputError(
            expected="a finite training loss",
            found=f"{losses[-1]} in epoch {len(losses)}",
            todo=f"Lower the learning rate ({config.learning_rate}).",
        )
    return History(
        {_metric_name(name): [float(v) for v in values] for name, values in logs.items()}
    )


class _Progress(keras.callbacks.Callback):
    """A bar with rate and time left; quiet where there is no terminal."""

    def __init__(self, config: Training) -> None:
        super().__init__()
        self.epochs = config.epochs

    def on_train_begin(self, logs: Any = None) -> None:
        total = self.epochs * self.params["steps"]
        self.bar = tqdm(total=total, desc=f"training {self.model.name}", unit="batch", disable=None)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.bar.update()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = logs or {}
        self.bar.set_postfix({k: f"{logs[k]:.3f}" for k in ("loss", "val_accuracy") if k in logs})

    def on_train_end(self, logs: Any = None) -> None:
        self.bar.close()
