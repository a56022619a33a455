"""A Keras model of 3-D convolutions as an ONNX graph: for other servers, and for OpenVINO on JAX.

Keras's own export needs another converter for each backend. ONNX keeps channels before the voxels,
Keras after them: kernels are transposed here, and what `Flatten` sees.
"""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tomodistill.errors import InputError
from tomodistill.inference.engines import Array

INPUT, OUTPUT = "subtomogram", "logits"
_OPSET, _IR_VERSION = 17, 8  # of 2022: old enough for most servers
_ACTIVATIONS = {keras.activations.linear: None, keras.activations.relu: "Relu"}


def onnx_model(model: keras.Model) -> ModelProto:
    """ONNX model of preprocessed volumes (n, e, e, e), float32 -> (n, classes) logits.

    Raises InputError for a layer that is not among those of the networks.
    """
    edge, classes = model.input_shape[1], model.output_shape[-1]
    graph = _Graph()
    graph.add("Unsqueeze", [INPUT, graph.constant(np.array([1]))], model.input)
    for layer in model.layers:
        _writer(layer)(graph, layer)
    graph.add("Identity", [graph.name_of(model.output)], output=OUTPUT)
    whole = helper.make_graph(
        graph.nodes,
        model.name,
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", edge, edge, edge])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", classes])],
        graph.constants,
    )
    opset = [helper.make_opsetid("", _OPSET)]
    return helper.make_model(whole, opset_imports=opset, ir_version=_IR_VERSION)


class _Graph:
    """Nodes and constants of an ONNX graph in the making, and where each Keras tensor is in it."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._names: dict[int, str] = {}  # of Keras tensors, by their identity

    def name_of(self, tensor: keras.KerasTensor) -> str:
        return self._names[id(tensor)]

    def constant(self, values: Array) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(
        self,
        kind: str,
        inputs: list[str],
        tensor: keras.KerasTensor | None = None,
        *,
        output: str = "",
        **attributes: Any,
    ) -> str:
        """A node; what it gives is the Keras tensor, or has the name `output`, or a new one."""
        name = output or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        if tensor is not None:
            self._names[id(tensor)] = name
        return name

    def same(self, layer: keras.Layer) -> None:
        """The layer gives what it gets."""
        self._names[id(layer.output)] = self.name_of(layer.input)


def _writer(layer: keras.Layer) -> Callable[[_Graph, keras.Layer], None]:
    if type(layer) not in _WRITERS:
        raise _refusal(f"{type(layer).__name__} ({layer.name})")
    return _WRITERS[type(layer)]


def _refusal(found: str) -> InputError:
    layers = ", ".join(kind.__name__ for kind in _WRITERS)
    return InputError(
        expected=f"layers among {layers}, with ReLU or no activation",
        found=found,
        todo="Choose a network of this package; adopted ones have other layers.",
    )


def _input(graph: _Graph, layer: keras.Layer) -> None:
    """Its tensor is the model's input, which is there already."""


def _convolution(graph: _Graph, layer: keras.layers.Conv3D) -> None:
    kernel = np.asarray(layer.kernel).transpose(4, 3, 0, 1, 2)  # from (z, y, x, in, out)
    found = graph.add(
        "Conv",
        [graph.name_of(layer.input), graph.constant(kernel), *_bias(graph, layer)],
        layer.output,
        strides=layer.strides,
        dilations=layer.dilation_rate,
        group=layer.groups,
        pads=_pads(layer, layer.kernel_size, layer.dilation_rate),
    )
    _activate(graph, layer, found)


def _pads(layer: keras.Layer, size: Iterable[int], dilation: Iterable[int] = (1, 1, 1)) -> Any:
    """Voxels before each axis, then after each: the odd one of 'same' padding comes after."""
    if layer.padding == "valid":
        return [0] * 6
    edges = zip(layer.input.shape[1:4], size, layer.strides, dilation, strict=True)
    missing = [max(((n - 1) // s) * s + d * (k - 1) + 1 - n, 0) for n, k, s, d in edges]
    return [voxels // 2 for voxels in missing] + [voxels - voxels // 2 for voxels in missing]


def _pooling(graph: _Graph, layer: keras.layers.MaxPooling3D) -> None:
    inputs, size = [graph.name_of(layer.input)], layer.pool_size
    pads = _pads(layer, size)
    graph.add("MaxPool", inputs, layer.output, kernel_shape=size, strides=layer.strides, pads=pads)


def _global_pooling(graph: _Graph, layer: keras.layers.GlobalAveragePooling3D) -> None:
    mean = graph.add("GlobalAveragePool", [graph.name_of(layer.input)])
    graph.add("Flatten", [mean], layer.output)


def _padding(graph: _Graph, layer: keras.layers.ZeroPadding3D) -> None:
    before, after = zip(*layer.padding, strict=True)
    pads = graph.constant(np.array([0, 0, *before, 0, 0, *after]))
    graph.add("Pad", [graph.name_of(layer.input), pads], layer.output)


def _flatten(graph: _Graph, layer: keras.layers.Flatten) -> None:
    last = graph.add("Transpose", [graph.name_of(layer.input)], perm=(0, 2, 3, 4, 1))
    graph.add("Flatten", [last], layer.output)


def _dense(graph: _Graph, layer: keras.layers.Dense) -> None:
    weights = [graph.constant(np.asarray(layer.kernel)), *_bias(graph, layer)]
    found = graph.add("Gemm", [graph.name_of(layer.input), *weights], layer.output)
    _activate(graph, layer, found)


def _bias(graph: _Graph, layer: keras.Layer) -> list[str]:
    return [graph.constant(np.asarray(layer.bias))] if layer.use_bias else []


def _activate(graph: _Graph, layer: keras.Layer, found: str) -> None:
    """Replaces what the layer gave by its activation."""
    if layer.activation not in _ACTIVATIONS:
        raise _refusal(f"the activation {layer.activation.__name__} in {layer.name}")
    if kind := _ACTIVATIONS[layer.activation]:
        graph.add(kind, [found], layer.output)


def _relu(graph: _Graph, layer: keras.layers.ReLU) -> None:
    if layer.max_value is not None or layer.negative_slope or layer.threshold:
        raise _refusal(f"{layer.name} with a cap, a slope or a threshold")
    graph.add("Relu", [graph.name_of(layer.input)], layer.output)


def _concatenate(graph: _Graph, layer: keras.layers.Concatenate) -> None:
    graph.add("Concat", [graph.name_of(tensor) for tensor in layer.input], layer.output, axis=1)


_WRITERS: dict[type, Callable[[_Graph, Any], None]] = {
    keras.layers.InputLayer: _input,
    keras.layers.Conv3D: _convolution,
    keras.layers.MaxPooling3D: _pooling,
    keras.layers.GlobalAveragePooling3D: _global_pooling,
    keras.layers.ZeroPadding3D: _padding,
    keras.layers.Flatten: _flatten,
    keras.layers.Dense: _dense,
    keras.layers.ReLU: _relu,
    keras.layers.Concatenate: _concatenate,
    keras.layers.Dropout: _Graph.same,
}
