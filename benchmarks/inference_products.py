"""What a machine can do at best: matrix products by the libraries at hand, copies to a GPU."""

from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
from inference_turns import Case, Key

from tomodistill.inference.engines import REFERENCE, Array
from tomodistill.inference.openvino_engine import core, installed, openvino

PRODUCT, COPY = "product", "copy"  # measures
SIZES = {"cpu": (1024, 2048, 3072), "gpu": (4096, 8192, 16384)}  # rows of a square matrix
COPIED = 2**26  # bytes
_OF_KERAS = (REFERENCE, "bfloat16")  # halves are emulated there, and take minutes
_ON_CPU = {"numpy": (REFERENCE,), "tensorflow": _OF_KERAS, "jax": _OF_KERAS}  # else all


def product_gflop(key: Key) -> float:
    """1e9 operations, 2 x multiply-accumulate, of the product of two square matrices."""
    return 2e-9 * int(key.network) ** 3


def products(sizes: Sequence[int], precisions: Sequence[str], *, gpu: bool) -> Iterator[Case]:
    """Of each library, size and precision; on a GPU by the library of the Keras backend alone."""
    rng = np.random.default_rng(0)
    for size in sizes:
        a, b = (rng.normal(size=(size, size)).astype(np.float32) for _ in range(2))
        for library, prepare in _libraries(gpu).items():
            had = precisions if gpu else _ON_CPU.get(library, precisions)
            for precision in (of for of in precisions if of in had):
                key = Key(str(size), library, precision, 1, PRODUCT)
                yield Case(key, prepare(a, b, precision))


def _libraries(gpu: bool) -> dict[str, Callable[[Array, Array, str], Callable[[], float]]]:
    of_keras = {keras.backend.backend(): _keras}
    if gpu:
        return of_keras
    return {"numpy": _numpy} | of_keras | ({"openvino": _openvino} if installed() else {})


def _numpy(a: Array, b: Array, precision: str) -> Callable[[], float]:
    product = np.empty_like(a)
    return lambda: float(np.matmul(a, b, out=product)[0, 0])


def _keras(a: Array, b: Array, precision: str) -> Callable[[], float]:
    first, second = (keras.ops.convert_to_tensor(matrix, precision) for matrix in (a, b))
    return lambda: _fetched(keras.ops.matmul(first, second)[0, 0])


def _openvino(a: Array, b: Array, precision: str) -> Callable[[], float]:
    """The second matrix constant, as the weights of a network are."""
    ops = openvino().opset13
    left = ops.parameter(a.shape, np.float32)
    model = openvino().Model([ops.matmul(left, ops.constant(b), False, False)], [left])
    hint = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}[precision]
    compiled = core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": hint})
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino().Tensor(a, shared_memory=True))

    def multiply() -> float:
        request.infer()
        return float(request.get_output_tensor().data[0, 0])

    return multiply


def copies() -> Case:
    """From host memory to the device of the Keras backend."""
    block = np.ones(COPIED // 4, np.float32)
    key = Key("host to device", keras.backend.backend(), REFERENCE, 1, COPY)
    return Case(key, lambda: _fetched(keras.ops.convert_to_tensor(block)[0]))


def _fetched(number: object) -> float:
    """Only when a number of the result is here has the device done its work."""
    return float(keras.ops.cast(number, "float32"))
