"""A classifier from elsewhere in the form of ours: one channel in, logits out."""

import keras
import numpy as np

from tomodistill.errors import InputError

_TINY = float(np.finfo(np.float32).tiny)  # keeps the logarithm of a probability of zero finite


def with_logits(model: keras.Model, *, box: int, classes: int) -> keras.Model:
    """Keras model (n, box, box, box, 1) -> (n, classes) logits around one that gives probabilities.

    `model` takes (n, box, box, box), with a channel axis or without. Raises InputError for another
    box or number of classes.
    """
    _check_shapes(model, box, classes)
    inputs = keras.Input((box, box, box, 1), name="subtomogram")
    volumes = keras.layers.Reshape(model.input_shape[1:], name="volume")(inputs)
    probabilities = keras.ops.cast(model(volumes), "float32")
    # Logits are known up to a constant for each item: that of a log-softmax serves as well.
    return keras.Model(inputs, keras.ops.log(probabilities + _TINY), name="adopted")


def _check_shapes(model: keras.Model, box: int, classes: int) -> None:
    boxes = (None, box, box, box)
    given = getattr(model, "input_shape", None)  # a model that was never built has none
    if given not in (boxes, (*boxes, 1)):
        raise InputError(
            expected=f"a classifier whose input is {boxes}, with a channel axis or without",
            found=f"{given}",
            todo="Choose another teacher, or a set with its box: -P box=...",
        )
    if model.output_shape != (None, classes):
        raise InputError(
            expected=f"a classifier whose output is {(None, classes)}, one for each class",
            found=f"{model.output_shape}",
            todo="Choose a teacher that was trained on the classes of the set.",
        )
