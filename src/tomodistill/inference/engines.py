"""What runs a network: an engine maps preprocessed volumes to logits; a new one is one more class.

Batches have a few fixed sizes, smaller ones padded, so that nothing is compiled while serving.
"""

from collections.abc import Callable
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

BATCH_SIZES = (1, 4, 16, 64)


class Engine(Protocol):
    """Preprocessed volumes (n, d, d, d) in, logits (n, classes) out."""

    name: str
    device: str

    def logits(self, volumes: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, classes) logits; safe to call from several threads."""
        ...


class KerasEngine:
    """The model as one compiled float32 function of the Keras backend, on a GPU if there is one."""

    name = "keras"

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.device = _device()
        self._function = _COMPILERS[keras.backend.backend()](model)

    def logits(self, volumes: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, classes) logits of (n, d, d, d) volumes, in batches of the fixed sizes."""
        step = BATCH_SIZES[-1]
        parts = [volumes[start : start + step] for start in range(0, len(volumes), step)]
        return np.concatenate([self._batch(part) for part in parts])

    def warm_up(self) -> None:
        """Compile every batch size, so that no later call has to."""
        box = self.model.input_shape[1]
        for size in BATCH_SIZES:
            self._batch(np.zeros((size, box, box, box), np.float32))

    def _batch(self, volumes: NDArray[np.float32]) -> NDArray[np.float32]:
        count = len(volumes)
        size = next(size for size in BATCH_SIZES if size >= count)
        padded = np.pad(volumes, ((0, size - count), (0, 0), (0, 0), (0, 0)))
        return np.asarray(self._function(padded[..., None]))[:count]


def _compile_tensorflow(model: keras.Model) -> Callable[[Any], Any]:
    import tensorflow as tf

    volumes = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)  # traced once for all sizes
    return tf.function(  # type: ignore[no-any-return]
        lambda batch: model(batch, training=False), input_signature=[volumes]
    )


def _compile_jax(model: keras.Model) -> Callable[[Any], Any]:
    import jax  # for those who chose that backend

    weights = [v.value for v in model.trainable_variables]
    state = [v.value for v in model.non_trainable_variables]
    return jax.jit(lambda volumes: model.stateless_call(weights, state, volumes, training=False)[0])


_COMPILERS = {"tensorflow": _compile_tensorflow, "jax": _compile_jax}


def _device() -> str:
    """The device the backend computes on, as it names it: "cpu:0", "gpu:0"."""
    return str(keras.distribution.list_devices()[0])  # accelerators come before the CPU
