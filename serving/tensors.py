"""Tensors of the Open Inference Protocol v2: numbers in JSON, or in binary data behind it.

What a request claims is held to the bytes at hand before anything is made of it; binary volumes
are not copied.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import ValidationError

from serving.body import check_json
from serving.messages import LONGEST_NAME, VOLUMES, InferenceRequest, InputTensor
from tomodistill.errors import InputError

_DTYPES = {
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
}
_RAW = "FP32"  # what a body without JSON holds


@dataclass(frozen=True)
class Tensor:
    """An output; BYTES are an array of strings."""

    datatype: str
    values: NDArray[Any]


def read_request(
    body: bytearray, json_length: str | None, *, box: int
) -> tuple[InferenceRequest, NDArray[Any]]:
    """The request, and its volumes (n, d, d, d) or (d, d, d) in the memory of the body.

    `json_length` in bytes as its header says; None: all is JSON; "0": all is float32 volumes of
    that `box`. Raises InputError for what is not in order, HTTPException 413 for too much JSON.
    """
    length = len(body) if json_length is None else _length(json_length, len(body))
    request = _parsed(body[:length]) if length else _raw(len(body), box)
    return request, _array(request.inputs[0], memoryview(body)[length:])


def chosen_outputs(request: InferenceRequest, names: Sequence[str]) -> dict[str, bool]:
    """Output -> whether in binary data, of those that are asked for among `names`, or all.

    Raises InputError for any other, and for one twice.
    """
    default = request.parameters.binary_data_output
    chosen: dict[str, bool] = {}
    for output in request.outputs:
        if output.name not in names or output.name in chosen:
            raise _refusal(
                f"outputs among {', '.join(names)}, each once", repr(output.name[:LONGEST_NAME])
            )
        binary = output.parameters.binary_data
        chosen[output.name] = default if binary is None else binary
    return chosen or dict.fromkeys(names, default)


def write_answer(
    head: Mapping[str, Any], outputs: Mapping[str, Tensor], *, binary: Mapping[str, bool]
) -> tuple[bytes, int]:
    """The body and how many bytes of it are JSON: the `head` with the outputs that `binary` names.

    `binary`: output -> whether its values go behind the JSON.
    """
    described: list[dict[str, Any]] = []
    behind: list[bytes] = []
    for name, as_binary in binary.items():
        tensor = outputs[name]
        described.append({"name": name, "datatype": tensor.datatype, "shape": tensor.values.shape})
        if as_binary:
            behind.append(_bytes(tensor))
            described[-1]["parameters"] = {"binary_data_size": len(behind[-1])}
        else:
            described[-1]["data"] = _numbers(tensor)
    json = orjson.dumps({**head, "outputs": described}, option=orjson.OPT_SERIALIZE_NUMPY)
    return b"".join([json, *behind]), len(json)


def _length(stated: str, body: int) -> int:
    length = int(stated) if stated.isdecimal() and len(stated) < 20 else -1
    if not 0 <= length <= body:
        raise _refusal(
            f"an Inference-Header-Content-Length of 0 to {body}, the body's bytes",
            repr(stated[:LONGEST_NAME]),
        )
    return length


def _parsed(json: bytearray) -> InferenceRequest:
    check_json(json)
    try:
        return InferenceRequest.model_validate_json(json)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the JSON"
        raise _refusal("an inference request", f"{where}: {first['msg']}") from error


def _raw(size: int, box: int) -> InferenceRequest:
    """The request that a body of nothing but volumes stands for; it is answered likewise."""
    count = max(size // (np.dtype(_DTYPES[_RAW]).itemsize * box**3), 1)
    tensor = {"name": VOLUMES, "datatype": _RAW, "shape": [count, box, box, box]}
    return InferenceRequest.model_validate(
        {
            "parameters": {"binary_data_output": True},
            "inputs": [{**tensor, "parameters": {"binary_data_size": size}}],
        }
    )


def _array(tensor: InputTensor, binary: memoryview) -> NDArray[Any]:
    """Of the tensor's shape and datatype."""
    dtype = np.dtype(_DTYPES[tensor.datatype])
    size, count = tensor.parameters.binary_data_size, math.prod(tensor.shape)
    if (size is None) == (tensor.data is None):
        raise _refusal("data, or binary_data_size", "neither" if size is None else "both")
    if not (size or 0) == len(binary) == (0 if size is None else count * dtype.itemsize):
        raise _refusal(
            f"{count * dtype.itemsize} bytes for shape {tensor.shape} of {tensor.datatype}",
            f"binary_data_size {size} and {len(binary)} bytes behind the JSON",
        )
    if tensor.data is not None:
        return _of_numbers(tensor.data, tensor.shape, dtype)
    return np.frombuffer(binary, dtype).reshape(tensor.shape)


def _of_numbers(data: list[Any], shape: list[int], dtype: np.dtype[Any]) -> NDArray[Any]:
    numbers = _flat(data, shape)
    kinds = set(map(type, numbers))  # NumPy would read strings, too
    if len(numbers) != math.prod(shape) or not kinds <= _kinds(dtype):
        found = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise _refusal(f"{math.prod(shape)} numbers of {dtype}", f"{len(numbers)} of {found}")
    try:
        with np.errstate(over="ignore"):  # infinity is refused with the volumes
            return np.array(numbers, dtype).reshape(shape)
    except OverflowError as error:
        raise _refusal(f"numbers of {dtype}", f"{error}") from error


def _flat(data: list[Any], shape: list[int]) -> list[Any]:
    """Elements of a list that is flat, or nested as the shape says."""
    for edge in shape[1:]:
        if set(map(type, data)) != {list}:
            break
        if set(map(len, data)) != {edge}:
            raise _refusal(f"data flat or nested as shape {shape}", "lists of another length")
        data = list(chain.from_iterable(data))
    return data


def _kinds(dtype: np.dtype[Any]) -> set[type]:
    return {int, float} if dtype.kind == "f" else {int}


def _numbers(tensor: Tensor) -> Any:
    """What orjson writes as a flat list."""
    flat = np.ascontiguousarray(tensor.values).ravel()
    return flat.tolist() if tensor.datatype == "BYTES" else flat


def _bytes(tensor: Tensor) -> bytes:
    """Little-endian, row by row; of each string its length before it."""
    if tensor.datatype != "BYTES":
        return tensor.values.tobytes()
    encoded = [text.encode() for text in tensor.values.ravel().tolist()]
    return b"".join(len(text).to_bytes(4, "little") + text for text in encoded)


def _refusal(expected: str, found: str) -> InputError:
    return InputError(
        expected=expected, found=found, todo="See the route that ends with infer at /docs."
    )
