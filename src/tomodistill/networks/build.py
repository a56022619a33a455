"""From a row of the table to a Keras model that returns logits."""

import math
from collections import Counter
from dataclasses import replace

import keras

from tomodistill.networks.layers import (
    Bottleneck,
    Convolution,
    GlobalPooling,
    Layer,
    Network,
    Padding,
    Pooling,
)
from tomodistill.networks.table import check_box, network

# He initialisation keeps the variance through ReLU layers: with Keras's default the teacher saw
# noisy subtomograms for whole epochs before its loss left ln(classes).
_INIT = "he_normal"
_WEIGHTED = (keras.layers.Conv2D, keras.layers.Conv3D, keras.layers.Dense)


def build(name: str, *, box: int, classes: int, dropout: float | None = None) -> keras.Model:
    """Keras model (n, e, e, e, 1) -> (n, classes) logits for boxes of `box` voxels.

    The input's edge e is the box's, or what the network's binning leaves of it.
    `dropout` replaces the table's after each dense layer; the one inside the blocks of `rb3d`
    belongs to them and stays. Raises InputError if the box is too small for the network.
    """
    found = network(name) if dropout is None else replace(network(name), dropout=dropout)
    check_box(found, box)
    inputs = keras.Input((*[found.edge(box)] * 3, 1), name="subtomogram")
    features = _dense(found, _features(found, inputs))
    logits = keras.layers.Dense(classes, name="logits")(features)
    return keras.Model(inputs, logits, name=name)


def _features(network: Network, x: keras.KerasTensor) -> keras.KerasTensor:
    counts: Counter[str] = Counter()
    for layer in network.layers:
        kind = type(layer).__name__.lower()
        counts[kind] += 1
        x = _apply(layer, x, name=f"{kind}{counts[kind]}")
    return x


def _apply(layer: Layer, x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    match layer:
        case Convolution(width, edge, stride):
            return _convolution(x, width, edge=edge, stride=stride, name=name)
        case Pooling(size):
            return keras.layers.MaxPooling3D(size, name=name)(x)
        case GlobalPooling():
            return keras.layers.GlobalAveragePooling3D(name=name)(x)
        case Padding(margin):
            return keras.layers.ZeroPadding3D(margin, name=name)(x)
        case Bottleneck():
            return _bottleneck(layer, x, name=name)


def _bottleneck(block: Bottleneck, x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    shortcut = _convolution(x, block.shortcut, edge=3, name=f"{name}_shortcut")
    narrow, wide, out = block.widths
    x = _convolution(x, narrow, edge=1, name=f"{name}_narrow")
    x = _convolution(x, wide, edge=3, name=f"{name}_wide")
    x = _convolution(x, out, edge=1, name=f"{name}_out", activation=None)
    x = keras.layers.Dropout(block.dropout, name=f"{name}_dropout")(x)
    both = keras.layers.Concatenate(name=f"{name}_both")([shortcut, x])
    return keras.layers.ReLU(name=name)(both)


def _convolution(
    x: keras.KerasTensor,
    width: int,
    *,
    edge: int,
    name: str,
    stride: int = 1,
    activation: str | None = "relu",
) -> keras.KerasTensor:
    layer = keras.layers.Conv3D(
        width,
        edge,
        stride,
        padding="same",
        activation=activation,
        kernel_initializer=_INIT,
        name=name,
    )
    return layer(x)


def _dense(network: Network, x: keras.KerasTensor) -> keras.KerasTensor:
    if len(x.shape) > 2:
        x = keras.layers.Flatten(name="flatten")(x)
    for layer, width in enumerate(network.dense, 1):
        dense = keras.layers.Dense(
            width, activation="relu", kernel_initializer=_INIT, name=f"fc{layer}"
        )
        x = dense(x)
        if network.dropout:
            x = keras.layers.Dropout(network.dropout, name=f"dropout{layer}")(x)
    return x


def gflop(model: keras.Model) -> float:
    """Cost of one forward pass of one volume in 1e9 operations, 2 x multiply-accumulate.

    Of convolutions and dense layers, those of models within the model too.
    """
    return 2e-9 * _multiply_accumulates(model)


def _multiply_accumulates(layer: keras.Layer) -> int:
    """Each weight of a kernel is used once at every voxel of the layer's output."""
    if isinstance(layer, keras.Model):
        return sum(map(_multiply_accumulates, layer.layers))
    if not isinstance(layer, _WEIGHTED):
        return 0
    return int(math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:-1]))
