"""The network on the CPU through OpenVINO, without Keras or TensorFlow: quick to start, and fast.

OpenVINO computes in bfloat16 by itself where the CPU can: here the precision is always said.
"""

import os
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tomodistill.inference.engines import REFERENCE, Array, in_batches

GRAPH, WEIGHTS = "openvino.xml", "openvino.bin"  # in a version's folder
_BATCH = 16
# Of each precision: OpenVINO's word, and the capability of a CPU that has it natively.
_HINTS = {"float32": ("f32", "FP32"), "bfloat16": ("bf16", "BF16"), "float16": ("f16", "FP16")}


class OpenVINOEngine:
    """An exported graph, `GRAPH` with its `WEIGHTS` beside it, on `threads` cores of this CPU."""

    name = "openvino"

    def __init__(self, path: Path, precision: str = REFERENCE, threads: int | None = None) -> None:
        core = openvino().Core()
        self.device = f"cpu: {core.get_property('CPU', 'FULL_DEVICE_NAME').strip()}"
        self.precision = precision
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision][0],
            "INFERENCE_NUM_THREADS": threads or cores(),
        }
        self._compiled = core.compile_model(path, "CPU", settings)
        shape = self._compiled.input(0).partial_shape
        self._shape = [axis.get_length() for axis in list(shape)[1:]]  # with a channel axis or not
        self._of_thread = threading.local()

    def logits(self, volumes: Array) -> Array:
        """(n, classes) logits of (n, e, e, e) volumes."""
        return in_batches(self._batch, volumes, largest=_BATCH)

    def warm_up(self) -> None:
        """The first call allocates."""
        self.logits(np.zeros((_BATCH, *self._shape[:3]), np.float32))

    def _batch(self, volumes: Array) -> Array:
        if not hasattr(self._of_thread, "request"):
            self._of_thread.request = self._compiled.create_infer_request()
        shaped = volumes.reshape(len(volumes), *self._shape)
        found = self._of_thread.request.infer(shaped, share_inputs=True)
        return np.array(found[0])


def installed() -> bool:
    """Whether OpenVINO is."""
    return find_spec("openvino") is not None


def precisions() -> tuple[str, ...]:
    """Those that this CPU has natively."""
    has = openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return tuple(name for name, (_, capability) in _HINTS.items() if capability in has)


def openvino() -> Any:
    """The library; its import would report to its makers, and write into the user's home."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def cores() -> int:
    """Which this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
