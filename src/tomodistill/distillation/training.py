"""One way of training for teachers and students: plain `fit`, on any Keras backend."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops, optimizers
from tqdm import tqdm

from tomodistill.distillation.batches import Batches
from tomodistill.distillation.checkpoint import Checkpoint
from tomodistill.distillation.config import Training
from tomodistill.distillation.course import Course, Curves, EpochLog
from tomodistill.distillation.devices import computing_in, devices_for, spread
from tomodistill.distillation.losses import Loss, accuracy
from tomodistill.errors import InputError

_MOMENTUM = 0.9
_DECAY = 1e-7  # a step, of the "constant" schedule: the paper's


@dataclass(frozen=True)
class History:
    """Learning curves: metric name ("train/loss", "val/accuracy", ...) -> value of each epoch."""

    curves: Curves

    @property
    def epochs(self) -> int:
        """How many were trained."""
        return len(self.curves.get("train/loss", ()))


def train(
    model: keras.Model,
    data: Batches,
    validation: Batches,
    *,
    config: Training,
    loss: Loss,
    metrics: Sequence[Loss] = (accuracy,),
    on_epoch: EpochLog = lambda epoch, metrics: None,
    checkpoint: Checkpoint | None = None,
) -> History:
    """Train `model` in place; it ends with the weights of its best validation loss.

    On all devices there are. With a `checkpoint` it goes on after the last epoch that this holds,
    `on_epoch` being told of those before too, and ends as if it had never stopped. Raises
    InputError if a loss is no longer a number.
    """
    items = min(len(data.volumes), len(validation.volumes))
    devices = devices_for(batch_size=config.batch_size, items=items, precision=config.precision)
    data.devices = validation.devices = len(devices)
    with spread(model, devices) as network, computing_in(config.precision, network):
        optimizer = _optimizer(config, steps=len(data) * config.epochs)
        network.compile(optimizer, loss, metrics=[_MeanWhereKnown(metric) for metric in metrics])
        course = Course(config, on_epoch, checkpoint)
        course.start(network)
        if not course.is_over:
            _fit(network, data, validation, course)
        course.finish()
    return History(course.curves)


def _fit(network: keras.Model, data: Batches, validation: Batches, course: Course) -> None:
    """Those epochs that are still to do."""
    draw = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: data.draw(epoch))
    epochs, done = course.config.epochs, course.epochs
    network.fit(
        data,
        validation_data=validation,
        epochs=epochs,
        initial_epoch=done,
        callbacks=[draw, keras.callbacks.TerminateOnNaN(), course, _Progress(epochs, done)],
        shuffle=False,
        verbose=0,
    )
    for part, name in (("training", "train/loss"), ("validation", "val/loss")):
        _check_finite(part, course.curves[name], course.config)


def _check_finite(part: str, losses: list[float], config: Training) -> None:
    if not np.isfinite(losses[-1]):
        raise InputError(
            expected=f"a finite {part} loss",
            found=f"{losses[-1]} in epoch {len(losses)}",
            todo=f"Lower the learning rate from {config.learning_rate}: teacher_learning_rate or "
            "student_learning_rate.",
        )


def _optimizer(config: Training, *, steps: int) -> keras.Optimizer:
    rate = config.learning_rate
    if config.schedule == "cosine":
        schedule: Any = optimizers.schedules.CosineDecay(rate, steps)
    else:
        schedule = optimizers.schedules.InverseTimeDecay(rate, decay_steps=1, decay_rate=_DECAY)
    if config.optimizer == "adam":
        optimizer = optimizers.Adam(schedule)
    else:
        optimizer = optimizers.SGD(schedule, momentum=_MOMENTUM, nesterov=True)
    if config.precision == "mixed_float16":  # whose small gradients would be zero
        return optimizers.LossScaleOptimizer(optimizer)
    return optimizer


class _MeanWhereKnown(keras.metrics.Mean):
    """Of a metric's values (n,) but the NaN ones: of such an item it says nothing."""

    def __init__(self, metric: Loss) -> None:
        super().__init__(name=metric.__name__)
        self.metric = metric

    def update_state(self, targets: Any, logits: Any, sample_weight: Any = None) -> Any:
        values = self.metric(targets, logits)
        known = ops.logical_not(ops.isnan(values))
        return super().update_state(ops.where(known, values, 0.0), sample_weight=known)


class _Progress(keras.callbacks.Callback):
    """A bar with rate and time left; quiet where there is no terminal."""

    def __init__(self, epochs: int, done: int) -> None:
        super().__init__()
        self.epochs, self.done = epochs, done

    def on_train_begin(self, logs: Any = None) -> None:
        total, initial = (epochs * self.params["steps"] for epochs in (self.epochs, self.done))
        name = f"training {self.model.name}"
        self.bar = tqdm(total=total, initial=initial, desc=name, unit="batch", disable=None)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.bar.update()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = logs or {}
        self.bar.set_postfix({k: f"{logs[k]:.3f}" for k in ("loss", "val_accuracy") if k in logs})

    def on_train_end(self, logs: Any = None) -> None:
        self.bar.close()
