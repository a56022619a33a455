"""From a row of the table to a Keras model that returns logits."""

import math
from dataclasses import replace

import keras

from tomodistill.networks.table import NETWORKS, Network, check_box

# He initialisation keeps the variance through ReLU layers: with Keras's default the teacher saw
# noisy subtomograms for whole epochs before its loss left ln(classes).
_RELU = {"activation": "relu", "kernel_initializer": "he_normal"}


def build(name: str, *, box: int, classes: int, dropout: float | None = None) -> keras.Model:
    """Keras model (n, box, box, box, 1) -> (n, classes) logits.

    `dropout` replaces the table's. Raises InputError if the box is too small for the network.
    """
    network = NETWORKS[name] if dropout is None else replace(NETWORKS[name], dropout=dropout)
    check_box(network, box)
    inputs = keras.Input((box, box, box, 1), name="subtomogram")
    features = _dense(network, _convolutions(network, inputs))
    logits = keras.layers.Dense(classes, name="logits")(features)
    return keras.Model(inputs, logits, name=name)


def _convolutions(network: Network, x: keras.KerasTensor) -> keras.KerasTensor:
    for stage, widths in enumerate(network.stages, 1):
        for layer, width in enumerate(widths, 1):
            convolution = keras.layers.Conv3D(
                width, 3, padding="same", **_RELU, name=f"conv{stage}_{layer}"
            )
            x = convolution(x)
        x = keras.layers.MaxPooling3D(network.pool, name=f"pool{stage}")(x)
    return x


def _dense(network: Network, x: keras.KerasTensor) -> keras.KerasTensor:
    x = keras.layers.Flatten(name="flatten")(x)
    for layer, width in enumerate(network.dense, 1):
        x = keras.layers.Dense(width, **_RELU, name=f"fc{layer}")(x)
        if network.dropout:
            x = keras.layers.Dropout(network.dropout, name=f"dropout{layer}")(x)
    return x


def gflop(model: keras.Model) -> float:
    """Cost of one forward pass of one volume in 1e9 operations, 2 x multiply-accumulate."""
    return 2e-9 * sum(map(_multiply_accumulates, model.layers))


def _multiply_accumulates(layer: keras.Layer) -> int:
    """Each weight of a kernel is used once at every voxel of the layer's output."""
    if not isinstance(layer, keras.layers.Conv3D | keras.layers.Dense):
        return 0
    return int(math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:-1]))
