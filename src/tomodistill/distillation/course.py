"""The course of a training: its curves, its best weights so far, when it is over."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from tomodistill.distillation.checkpoint import Checkpoint, State
from tomodistill.distillation.config import Training

Curves = dict[str, list[float]]  # metric name ("train/loss", ...) -> value of each epoch
EpochLog = Callable[[int, Mapping[str, float]], None]  # epoch from 1, "train/loss" -> value


class Course(keras.callbacks.Callback):
    """Stops a training at the end of its patience; what `checkpoint` holds outlives a kill."""

    def __init__(
        self, config: Training, on_epoch: EpochLog, checkpoint: Checkpoint | None = None
    ) -> None:
        super().__init__()
        self.config, self.on_epoch, self.checkpoint = config, on_epoch, checkpoint
        self.curves: Curves = {}
        self.best: Sequence[NDArray[np.float32]] = ()

    @property
    def epochs(self) -> int:
        """How many are done."""
        return len(self.curves.get("val/loss", ()))

    @property
    def is_over(self) -> bool:
        """Whether every epoch is done, or patience is at its end."""
        if not self.epochs:
            return False
        without_better = self.epochs - 1 - int(np.argmin(self.curves["val/loss"]))
        return self.epochs >= self.config.epochs or without_better >= self.config.patience

    def start(self, model: keras.Model) -> None:
        """Take a compiled model to where the checkpoint was, if there is one."""
        self.set_model(model)
        model.optimizer.build(model.trainable_variables)
        state = self.checkpoint.read() if self.checkpoint else None
        if state is None:
            return
        _assign(model.variables, state.model)
        _assign(model.optimizer.variables, state.optimizer)
        self.curves, self.best = dict(state.curves), state.best
        print(f"training goes on after epoch {self.epochs} of {self.config.epochs}", flush=True)
        for epoch in range(self.epochs):
            self._report(epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keras calls it."""
        for name, value in (logs or {}).items():
            self.curves.setdefault(_metric_name(name), []).append(float(value))
        if np.isfinite([self.curves[name][-1] for name in ("train/loss", "val/loss")]).all():
            self._keep()
            self.model.stop_training |= self.is_over
        else:
            self.model.stop_training = True
        self._report(epoch)

    def finish(self) -> None:
        """Give the model its best weights."""
        self.model.set_weights(self.best)

    def _keep(self) -> None:
        losses = self.curves["val/loss"]
        if np.argmin(losses) == len(losses) - 1:
            self.best = self.model.get_weights()
        if self.checkpoint:
            model, optimizer = (
                _values(self.model.variables),
                _values(self.model.optimizer.variables),
            )
            self.checkpoint.write(State(self.curves, model, optimizer, self.best))

    def _report(self, epoch: int) -> None:
        self.on_epoch(epoch + 1, {name: values[epoch] for name, values in self.curves.items()})


def _metric_name(name: str) -> str:
    """Keras's "val_loss" and "loss" as "val/loss" and "train/loss"."""
    return f"val/{name[4:]}" if name.startswith("val_") else f"train/{name}"


def _values(variables: Sequence[Any]) -> list[NDArray[Any]]:
    return [ops.convert_to_numpy(variable) for variable in variables]


def _assign(variables: Sequence[Any], values: Sequence[NDArray[Any]]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
