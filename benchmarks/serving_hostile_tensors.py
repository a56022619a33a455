"""Requests of the Open Inference Protocol that are not quite as they should be."""

import json
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from serving_hostile_files import EXTREMES, TAKEN_OR_REFUSED, altered
from serving_hostile_wire import INFER, Case, request

_KEYS = ("id", "name", "shape", "datatype", "parameters", "inputs", "outputs", "data", "timeout")
_TYPES = ("FP16", "FP32", "FP64", "INT8", "UINT64", "BYTES", "BF16", "BOOL", "fp32", "FP32\0")
_SCALARS = (
    st.none()
    | st.booleans()
    | st.sampled_from((*EXTREMES, 10**400))
    | st.floats()
    | st.sampled_from(_TYPES)
    | st.text(max_size=20)
    | st.characters(categories=["Cs"])  # surrogates, which are no text by themselves
)
_ANYTHING = st.recursive(
    _SCALARS,
    lambda part: (
        st.lists(part, max_size=5)
        | st.dictionaries(st.sampled_from(_KEYS) | st.text(max_size=5), part, max_size=3)
    ),
    max_leaves=8,
)
_LENGTHS = (
    st.sampled_from(EXTREMES).map(str)
    | st.sampled_from(["", "+5", "0x10", "1e3", "²", "5, 5", "-0", "NaN", "0" * 5000, "9" * 5000])
    | st.text([chr(code) for code in range(33, 256) if code != 127], max_size=10)
)


@st.composite
def tensor_cases(draw: st.DrawFn, volume: NDArray[np.float32]) -> Case:
    """One good volume (d, d, d), but parts of the JSON, its length or the bytes are others."""
    data = volume.tobytes()
    told = _good(volume.shape, len(data))
    for _ in range(draw(st.integers(0, 2))):
        _change(draw, told)
    text = json.dumps(told, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    text = draw(st.sampled_from([st.just(text)] * 3 + [altered(text)]).flatmap(lambda of: of))
    own = st.just(f"{len(text)}")
    length = draw(own | own | own | st.none() | _LENGTHS)
    stated = {} if length is None else {"Inference_Header_Content_Length": length}
    body = text + draw(st.just(data) | altered(data))
    sent = request(INFER, body, "application/octet-stream", **stated)
    return Case(f"{length!r} {body[:400]!r}", sent, TAKEN_OR_REFUSED)


def _good(shape: tuple[int, ...], size: int) -> dict[str, Any]:
    tensor = {"name": "volumes", "shape": list(shape), "datatype": "FP32"}
    return {
        "id": "1",
        "parameters": {"voxel_spacing": 10.0, "contrast": "dark", "timeout": 0},
        "inputs": [{**tensor, "parameters": {"binary_data_size": size}}],
        "outputs": [{"name": "probabilities", "parameters": {"binary_data": True}}],
    }


def _change(draw: st.DrawFn, told: Any) -> None:
    """One part, at any depth, is left out, is another thing, or has one more."""
    places = list(_places(told))
    if not places:
        return
    parent, key = draw(st.sampled_from(places))
    what = draw(st.sampled_from(["leave out", "another", "one more"]))
    if what == "leave out":
        del parent[key]
    elif what == "another":
        parent[key] = draw(_ANYTHING)
    elif isinstance(parent, dict):
        parent[draw(st.sampled_from(_KEYS) | st.text(max_size=5))] = draw(_ANYTHING)
    else:
        parent.append(draw(_ANYTHING))


def _places(told: Any) -> list[tuple[Any, Any]]:
    """Every container with each of its keys."""
    if not isinstance(told, dict | list):
        return []
    keys = list(told) if isinstance(told, dict) else list(range(len(told)))
    return [(told, key) for key in keys] + [place for key in keys for place in _places(told[key])]
