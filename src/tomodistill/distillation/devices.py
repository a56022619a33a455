"""Where a network computes while it trains, and in which precision."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import keras
from keras import ops

from tomodistill.errors import InputError


@contextmanager
def computing_in(precision: str, model: keras.Model) -> Iterator[None]:
    """Within the block all layers but the last compute in `precision`, a Keras dtype policy.

    Weights stay float32 throughout, and so do the logits and with them the loss.
    """
    before = [layer.dtype_policy for layer in model.layers]
    for layer in model.layers[:-1]:
        layer.dtype_policy = precision
    try:
        yield
    finally:
        for layer, policy in zip(model.layers, before, strict=True):
            layer.dtype_policy = policy


@contextmanager
def spread(model: keras.Model, devices: list[str]) -> Iterator[keras.Model]:
    """The model itself on one device; on several a copy that shares each batch among them.

    What the copy has learned is the model's when the block ends.
    """
    if len(devices) == 1:
        yield model
        return
    with _SCOPES[keras.backend.backend()](devices):
        copy = type(model).from_config(model.get_config())
        _assign(copy, model)
        yield copy
    _assign(model, copy)


def devices_for(*, batch_size: int, items: int, precision: str) -> list[str]:
    """Of the devices there are, accelerators before the CPU, as many as can share each batch.

    Each gets the same number of items, and at least one where there are only `items` in all. Raises
    InputError where they cannot compute in that precision.
    """
    found = keras.distribution.list_devices()
    if (keras.backend.backend(), precision) == ("tensorflow", "mixed_float16"):
        _check_half(found)
    fitting = (n for n in range(1, len(found) + 1) if batch_size % n == 0 and n <= items)
    return list(found[: max(fitting)])


def _check_half(devices: list[str]) -> None:
    if devices[0].startswith("cpu"):  # TensorFlow has no 3-D pooling of halves there
        raise InputError(
            expected="a GPU for precision mixed_float16",
            found="none",
            todo="Set teacher_precision or student_precision to mixed_bfloat16 or float32.",
        )


def _assign(to: keras.Model, of: keras.Model) -> None:
    """Every variable: weights, and the states of random generators."""
    for variable, value in zip(to.variables, of.variables, strict=True):
        variable.assign(ops.convert_to_numpy(value))


def _mirrored(devices: list[str]) -> AbstractContextManager[object]:
    import tensorflow as tf

    scope: AbstractContextManager[object] = tf.distribute.MirroredStrategy(devices).scope()
    return scope


def _data_parallel(devices: list[str]) -> AbstractContextManager[object]:
    scope: AbstractContextManager[object] = keras.distribution.DataParallel(devices=devices).scope()
    return scope


_SCOPES = {"tensorflow": _mirrored, "jax": _data_parallel}
