"""A Keras model in the formats of other programs; verify what was written before it is used."""

import os
from pathlib import Path

import keras
import numpy as np
import onnx

from tomodistill.inference.engines import Array
from tomodistill.inference.onnx_graph import INPUT, onnx_model
from tomodistill.inference.openvino_engine import GRAPH, WEIGHTS, core, openvino


def write_openvino(model: keras.Model, folder: Path) -> tuple[Path, ...]:
    """The graph (n, e, e, e) -> (n, classes) and its float32 weights, as files in `folder`.

    Raises InputError on JAX for a layer that ONNX cannot have; OpenVINO cannot read JAX itself.
    """
    library, path = openvino(), os.fspath(folder / GRAPH)  # first: without its telemetry
    if keras.backend.backend() == "tensorflow":
        model.export(path, format="openvino", verbose=False)
    else:
        content = onnx_model(model).SerializeToString()
        library.save_model(core().read_model(content, b""), path, compress_to_fp16=False)
    return folder / GRAPH, folder / WEIGHTS


def write_onnx(model: keras.Model, path: Path) -> None:
    """Preprocessed volumes (n, e, e, e) "subtomogram" -> (n, classes) "logits", both float32.

    Raises InputError for a layer that is none of this package's networks.
    """
    whole = onnx_model(model)
    onnx.checker.check_model(whole)
    onnx.save(whole, path)


def onnx_logits(path: Path, volumes: Array) -> Array:
    """(n, classes) what ONNX Runtime answers to preprocessed volumes (n, e, e, e)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {INPUT: volumes})
    return np.asarray(logits)
