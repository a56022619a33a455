"""The model as one compiled function of the Keras backend, on a GPU if there is one.

Batches have a few fixed sizes, smaller ones padded, so that nothing is compiled while serving.
"""

import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from tomodistill.errors import InputError
from tomodistill.inference.engines import REFERENCE, Array

BATCH_SIZES = (1, 4, 16, 64)
_ON_GPU = (*BATCH_SIZES, 256)  # which small batches leave idle
_OUT_OF_MEMORY = ("ResourceExhaustedError", "RESOURCE_EXHAUSTED")  # of TensorFlow, of JAX


class KerasEngine:
    """On TensorFlow or JAX, in float32 or with all layers but the last in another precision."""

    name = "keras"

    def __init__(self, model: keras.Model, precision: str = REFERENCE) -> None:
        self.model = model if precision == REFERENCE else _in_precision(model, precision)
        self.device = device()
        self.precision = precision
        self._sizes: tuple[int, ...] = BATCH_SIZES if self.device.startswith("cpu") else _ON_GPU
        self._lock = threading.Lock()
        self._function = _COMPILERS[keras.backend.backend()](self.model)

    @property
    def batch(self) -> int:
        """The largest of the fixed sizes."""
        return self._sizes[-1]

    def logits(self, volumes: Array) -> Array:
        """(n, classes) logits of (n, e, e, e) volumes, in batches of the fixed sizes.

        Smaller ones where the device runs out of memory; raises InputError if one item is too much.
        """
        sizes = self._sizes
        try:
            starts = range(0, len(volumes), sizes[-1])
            parts = [self._batch(volumes[start : start + sizes[-1]], sizes) for start in starts]
            return np.concatenate(parts)
        except Exception as error:  # each backend has a class of its own
            if not _is_out_of_memory(error):
                raise
            tried = min(len(volumes), sizes[-1])
            self._do_without(next(size for size in sizes if size >= tried))
        return self.logits(volumes)

    def warm_up(self) -> None:
        """Compile every batch size, so that no later call has to."""
        edge = self.model.input_shape[1]
        for size in self._sizes:
            self.logits(np.zeros((size, edge, edge, edge), np.float32))

    def _batch(self, volumes: Array, sizes: Sequence[int]) -> Array:
        count = len(volumes)
        size = next(size for size in sizes if size >= count)
        padded = np.pad(volumes, ((0, size - count), (0, 0), (0, 0), (0, 0)))
        return np.asarray(self._function(padded[..., None]))[:count]

    def _do_without(self, size: int) -> None:
        """Batches of that size, which is too large for the device, and larger ones."""
        with self._lock:
            smaller = tuple(known for known in self._sizes if known < size)
            if not smaller:
                raise InputError(
                    expected=f"memory for one subtomogram on {self.device}",
                    found="too little",
                    todo="End what else computes there, or give engine=openvino for the CPU.",
                )
            if smaller != self._sizes:  # else another thread has said so
                self._sizes = smaller
                print(f"{self.device} is out of memory: batches of {smaller[-1]}", file=sys.stderr)


def device() -> str:
    """The device the backend computes on, as it names it: "cpu:0", "gpu:0"."""
    return str(keras.distribution.list_devices()[0])  # accelerators come before the CPU


def _is_out_of_memory(error: Exception) -> bool:
    words = f"{type(error).__name__}: {error}"
    return any(word in words for word in _OUT_OF_MEMORY)


def _in_precision(model: keras.Model, precision: str) -> keras.Model:
    """A copy whose layers compute so, all but the last: weights and logits stay float32."""
    policy = keras.DTypePolicy(f"mixed_{precision}")

    def copied(layer: keras.Layer) -> keras.Layer:
        copy = layer.__class__.from_config(layer.get_config())
        if layer is not model.layers[-1]:
            copy.dtype_policy = policy
        return copy

    reduced = keras.models.clone_model(model, clone_function=copied)
    reduced.set_weights(model.get_weights())
    return reduced


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
