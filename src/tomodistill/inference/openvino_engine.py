"""The network on the CPU through OpenVINO, without Keras or TensorFlow: quick to start, and fast.

Parts of a call are computed side by side in streams, each on a core or a few: no core waits for
another after every layer, and small parts need little memory. Volumes come alone or in parts of one
other size, since OpenVINO prepares itself anew for each.
"""

import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tomodistill.inference.engines import REFERENCE, Array
from tomodistill.machine import cores

GRAPH, WEIGHTS = "openvino.xml", "openvino.bin"  # in a version's folder
_VOXELS = 2**16  # of the input, in a part: calls of small networks would cost more than the work
_PARTS = 4  # for each stream in a batch: fewer, and streams wait for each other at its end
# Of each precision: OpenVINO's word for it, and for a CPU that has it natively. Never left out: by
# itself OpenVINO computes in bfloat16 where it can.
_WORDS = {"float32": ("f32", "FP32"), "bfloat16": ("bf16", "BF16"), "float16": ("f16", "FP16")}


class OpenVINOEngine:
    """An exported graph, `GRAPH` with its `WEIGHTS` beside it, on `threads` cores of this CPU."""

    name = "openvino"

    def __init__(self, path: Path, precision: str = REFERENCE, threads: int | None = None) -> None:
        # A table that it makes at its first use: two streams that begin together could wait for
        # each other for ever (in 6 of 167 starts; none of 130 with this line).
        openvino().Type.f32.to_dtype()
        settings = {
            "INFERENCE_PRECISION_HINT": _WORDS[precision][0],
            "INFERENCE_NUM_THREADS": threads or cores(),
            "PERFORMANCE_HINT": "THROUGHPUT",
            "ENABLE_CPU_PINNING": False,  # to cores that another process may have chosen too
        }
        self._compiled = core().compile_model(path, "CPU", settings)
        self.precision = precision
        self.device = f"cpu: {core().get_property('CPU', 'FULL_DEVICE_NAME').strip()}"
        self._classes = self._compiled.output(0).partial_shape[1].get_length()
        shape = list(self._compiled.input(0).partial_shape)[1:]
        self._shape = [axis.get_length() for axis in shape]  # with a channel axis or without
        self._part = max(_VOXELS // self._shape[0] ** 3, 1)  # volumes
        self._streams = self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self.batch = _PARTS * self._part * self._streams
        self._pool = ThreadPoolExecutor(self._streams)
        self._of_thread = threading.local()  # a request can compute one part at a time

    def logits(self, volumes: Array) -> Array:
        """(n, classes) logits of (n, e, e, e) volumes."""
        logits = np.empty((len(volumes), self._classes), np.float32)
        waiting = deque(self._parts(len(volumes)))
        helping = min(len(waiting), self._streams) - 1  # beside this thread
        others = [
            self._pool.submit(self._compute, waiting, volumes, logits) for _ in range(helping)
        ]
        self._compute(waiting, volumes, logits)
        for other in others:
            other.result()
        return logits

    def warm_up(self) -> None:
        """Prepare for both sizes."""
        for count in (1, self._part * self._streams):
            self.logits(np.zeros((count, *self._shape[:3]), np.float32))

    def _parts(self, count: int) -> list[slice]:
        """Of `count` volumes; the last ones alone, all of them if not every stream had a part."""
        part = self._part
        whole = count // part * part if count >= part * self._streams else 0
        edges = [*range(0, whole, part), *range(whole, count + 1)]
        return [slice(start, stop) for start, stop in pairwise(edges)]

    def _compute(self, waiting: deque[slice], volumes: Array, logits: Array) -> None:
        """Fill `logits` part by part, as long as some wait: a core with other work takes fewer."""
        while waiting:
            try:
                part = waiting.popleft()
            except IndexError:  # another stream was faster
                return
            logits[part] = self._infer(volumes[part])

    def _infer(self, volumes: Array) -> Array:
        if not hasattr(self._of_thread, "request"):
            self._of_thread.request = self._compiled.create_infer_request()
        shaped = volumes.reshape(len(volumes), *self._shape)
        found = self._of_thread.request.infer(shaped, share_inputs=True)
        return found[0]  # type: ignore[no-any-return]


def installed() -> bool:
    """Whether OpenVINO is."""
    return find_spec("openvino") is not None


def precisions() -> tuple[str, ...]:
    """Those that this CPU has natively."""
    has = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return tuple(name for name, (_, word) in _WORDS.items() if word in has)


def openvino() -> Any:
    """The library; its import would report to its makers, and write into the user's home."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


@cache
def core() -> Any:
    """One, never closed. Each gives its thread a stack for signals, and takes it back at its end:
    of two closed in the order of opening a stack stays that is gone, and Ctrl-C is a segfault.
    """
    return openvino().Core()
