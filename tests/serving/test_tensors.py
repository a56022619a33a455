import json
import math
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from fastapi import HTTPException
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serving.body import JSON_LIMIT
from serving.tensors import Tensor, chosen_outputs, read_request, write_answer
from tomodistill.errors import InputError

BOX = 3
NAMES = ("probabilities", "class_name", "class")
DTYPES = {
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
EDGES = st.integers(1, 3)
ARRAYS = st.sampled_from(sorted(DTYPES.values())).flatmap(
    lambda dtype: arrays.arrays(
        dtype, st.tuples(EDGES, EDGES, EDGES) | st.tuples(EDGES, EDGES, EDGES, EDGES)
    )
)
quick = settings(deadline=None, derandomize=True)


def tensor(array: np.ndarray, **more) -> dict:
    (datatype,) = (name for name, dtype in DTYPES.items() if np.dtype(dtype) == array.dtype)
    return {"name": "volumes", "shape": list(array.shape), "datatype": datatype, **more}


def framed(array: np.ndarray, **fields) -> tuple[bytearray, str]:
    """The body with its volumes in binary data, and what its header says."""
    size = {"binary_data_size": array.nbytes}
    text = json.dumps({"inputs": [tensor(array, parameters=size)], **fields}).encode()
    return bytearray(text + array.tobytes()), f"{len(text)}"


def in_json(array: np.ndarray, **fields) -> bytearray:
    data = fields.pop("data", array.tolist())
    return bytearray(json.dumps({"inputs": [tensor(array, data=data)], **fields}).encode())


def read(body: bytearray, length: str | None = None) -> np.ndarray:
    return read_request(body, length, box=BOX)[1]


def refusal(body: bytes, length: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read(bytearray(body), length)
    return str(caught.value)


ONE = np.arange(BOX**3, dtype="<f4").reshape(1, BOX, BOX, BOX)


@quick
@given(ARRAYS)
def test_binary_volumes_arrive_as_they_were_sent_and_uncopied(array):
    body, length = framed(array)
    got = read(body, length)
    assert got.dtype == array.dtype
    assert got.shape == array.shape
    assert got.tobytes() == array.tobytes()
    assert np.shares_memory(got, np.frombuffer(body, np.uint8))


@quick
@given(ARRAYS, st.booleans())
def test_volumes_in_json_arrive_as_they_were_sent(array, nested):
    got = read(in_json(array, data=(array if nested else array.ravel()).tolist()))
    np.testing.assert_array_equal(got, array, strict=True)


def test_a_body_without_json_is_volumes_of_the_models_box_and_answered_in_binary():
    stack = np.concatenate([ONE, ONE + 1])
    request, got = read_request(bytearray(stack.tobytes()), "0", box=BOX)
    np.testing.assert_array_equal(got, stack, strict=True)
    assert request.parameters.binary_data_output
    assert f"{BOX**3 * 4} bytes for shape [1, 3, 3, 3]" in refusal(b"x" * 9, "0")


@quick
@given(st.binary(max_size=200), st.none() | st.integers(0, 200).map(str) | st.text(max_size=5))
def test_arbitrary_bytes_are_refused(body, length):
    with pytest.raises((InputError, HTTPException)):
        read(bytearray(body), length)


@quick
@given(st.data())
def test_a_request_with_bytes_changed_is_read_or_refused(data):
    body, length = framed(ONE)
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, int(length) - 1))] = data.draw(st.integers(0, 255))
    with suppress(InputError):
        assert read(body, length).nbytes == len(body) - int(length)


@pytest.mark.parametrize("off", [-1, 1])
def test_a_header_that_lies_is_refused(off):
    body, length = framed(ONE)
    assert "found" in refusal(body, f"{int(length) + off}")
    assert "0 to" in refusal(body, f"{len(body) + 1}")


@pytest.mark.parametrize("length", ["-1", "", "1e3", "²", "9" * 5000])
def test_a_header_that_is_no_length_is_refused(length):
    assert "Inference-Header-Content-Length" in refusal(framed(ONE)[0], length)


@pytest.mark.parametrize("cut", [slice(0, -1), slice(0, None)])
def test_missing_and_trailing_bytes_are_refused(cut):
    body, length = framed(ONE)
    body = body[cut] + (b"x" if cut.stop is None else b"")
    assert f"expected {ONE.nbytes} bytes for shape [1, 3, 3, 3] of FP32" in refusal(body, length)


def changed(**fields) -> bytes:
    """A sound request in JSON, but for these fields of its tensor."""
    return json.dumps({"inputs": [{**tensor(ONE, data=ONE.tolist()), **fields}]}).encode()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "Invalid JSON"),
        (b"[]", "object"),
        (b"[" * 1000, "recursion"),
        (b'{"id": "\xff"}', "unicode"),
        (b"{}", "inputs: Field required"),
        (b'{"inputs": []}', "at least 1"),
        (in_json(ONE).replace(b"}]}", b"}, {}]}"), "inputs"),
        (changed(name="images"), "'volumes'"),
        (changed(datatype="BF16"), "FP32"),
        (changed(datatype="BYTES"), "FP32"),
        (changed(shape=[27]), "shape"),
        (changed(shape=[1] * 5), "shape"),
        (changed(shape=[1, 3, 3, -3]), "greater than 0"),
        (changed(shape=[0, 3, 3, 3]), "greater than 0"),
        (changed(shape=[1, 3, 3, 3.0]), "integer"),
        (changed(shape=[True, 3, 3, 3]), "integer"),
        (changed(shape=[2**31] * 4), "less than"),
        (changed(shape=[2**31 - 1] * 4, data=[1]), f"{(2**31 - 1) ** 4} numbers"),
        (changed(data=None), "neither"),
        (changed(parameters={"binary_data_size": 0}), "both"),
        (changed(parameters={"shared_memory_region": "x"}), "shared_memory_region"),
        (changed(data=[1.0] * 26), "26 of float"),
        (changed(data=["1.0"] * 27), "27 of str"),
        (changed(data=[True] * 27), "27 of bool"),
        (changed(data=[None] * 27), "27 of NoneType"),
        (changed(data=[[[1.0] * 9] * 3]), "another length"),
        (changed(data=[[[[[1.0]] * 3] * 3] * 3]), "list"),
        (changed(data=[[1.0], 2.0]), "float, list"),
        (changed(data=[{}] * 27), "dict"),
        (changed(datatype="INT8", data=[1.0] * 27), "27 of float"),
        (changed(datatype="INT8", data=[128] * 27), "out of bounds"),
        (changed(datatype="FP64", data=[10**400] * 27), "too large"),
        (in_json(ONE, parameters={"voxelspacing": 10.0}), "'voxelspacing' is none of"),
        (in_json(ONE, parameters={"voxel_spacing": 0.0}), "greater than 0"),
        (in_json(ONE, parameters={"voxel_spacing": math.inf}), "finite"),
        (in_json(ONE, parameters={"contrast": "black"}), "'dark'"),
        (in_json(ONE, parameters={"timeout": -1}), "greater than or equal to 0"),
        (in_json(ONE, outputs=[{}]), "outputs.0.name"),
        (in_json(ONE, outputs=[{"name": "class", "parameters": {"classification": 3}}]), "none of"),
    ],
)
def test_what_is_not_in_order_is_named(body, words):
    assert words in refusal(body)


def test_json_has_a_limit():
    with pytest.raises(HTTPException) as caught:
        read(bytearray(JSON_LIMIT + 1))
    assert caught.value.status_code == 413


def test_unknown_names_are_not_described_one_by_one():
    names = b",".join(b'"%040d":0' % name for name in range(10_000))
    tracemalloc.start()
    try:
        assert "0' is none of" in refusal(b'{"parameters":{%b},"inputs":[]}' % names)
        assert tracemalloc.get_traced_memory()[1] < 30 * len(names)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("names", [["scores"], ["class", "class"], ["a" * 10_000]])
def test_outputs_that_are_not_there_are_refused(names):
    asked = in_json(ONE, outputs=[{"name": name} for name in names])
    with pytest.raises(InputError, match="probabilities, class_name, class, each once") as caught:
        chosen_outputs(read_request(asked, None, box=BOX)[0], NAMES)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("outputs", "default", "chosen"),
    [
        ([], True, {"probabilities": True, "class_name": True, "class": True}),
        (
            [("class", None), ("probabilities", False)],
            True,
            {"class": True, "probabilities": False},
        ),
        ([("class", True)], False, {"class": True}),
    ],
)
def test_outputs_are_those_asked_for_in_json_or_binary(outputs, default, chosen):
    asked = [{"name": n, "parameters": {} if b is None else {"binary_data": b}} for n, b in outputs]
    body = in_json(ONE, outputs=asked, parameters={"binary_data_output": default})
    assert chosen_outputs(read_request(body, None, box=BOX)[0], NAMES) == chosen


OUTPUTS = {
    "probabilities": Tensor("FP32", np.array([[0.25, 0.75], [0.1, 0.9]], "f4")),
    "class_name": Tensor("BYTES", np.array(["ribosome", "β"])),
    "unknown": Tensor("BOOL", np.array([True, False])),
    "class": Tensor("INT64", np.array([-1, 1])),
}


def test_an_answer_is_json_and_behind_it_what_goes_in_binary():
    binary = {"class_name": True, "unknown": False, "class": True, "probabilities": False}
    body, length = write_answer({"id": "7"}, OUTPUTS, binary=binary)
    answer = json.loads(body[:length])
    assert answer["id"] == "7"
    assert answer["outputs"] == [
        {
            "name": "class_name",
            "datatype": "BYTES",
            "shape": [2],
            "parameters": {"binary_data_size": 18},
        },
        {"name": "unknown", "datatype": "BOOL", "shape": [2], "data": [True, False]},
        {
            "name": "class",
            "datatype": "INT64",
            "shape": [2],
            "parameters": {"binary_data_size": 16},
        },
        {
            "name": "probabilities",
            "datatype": "FP32",
            "shape": [2, 2],
            "data": [0.25, 0.75, 0.1, 0.9],
        },
    ]
    names = b"\x08\x00\x00\x00ribosome\x02\x00\x00\x00" + "β".encode()
    assert body[length:] == names + np.array([-1, 1], "<i8").tobytes()
