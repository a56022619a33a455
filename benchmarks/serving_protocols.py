"""How each server takes volumes, and how it says what it made of them."""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import orjson
import pandas as pd
from numpy.typing import ArrayLike
from serving_http import Answer, post

from tomodistill.inference.engines import Array
from tomodistill.tracking.registry import STUDENTS

_TOLERANCE = 0.02  # of a probability: bfloat16 depends on how volumes were put together
_BYTES = "application/octet-stream"


@dataclass(frozen=True)
class Protocol:
    """Of one path of one server."""

    path: str
    content_type: str
    write: Callable[[Array], bytes]  # volumes (n, d, d, d)
    read: Callable[[bytes], ArrayLike]  # probabilities (n, classes)
    headers: dict[str, str] = field(default_factory=dict)

    def requests(self, batches: Sequence[Array]) -> list[bytes]:
        """One for each batch."""
        return [post(self.path, self.write(of), self.content_type, self.headers) for of in batches]

    def check(self, answers: Sequence[Answer], expected: Sequence[Array]) -> None:
        """Those that were kept, each beside the probabilities (n, classes) of its request.

        Raises RuntimeError if one is wrong.
        """
        for answer in answers:
            if answer.status == 200 and answer.body is not None:
                found = np.array(self.read(answer.body)) - expected[answer.which]
                if not np.abs(found).max() <= _TOLERANCE:
                    raise RuntimeError(f"{self.path}: probabilities that no classifier gave")


def npy(volumes: Array) -> bytes:
    """A file of them."""
    file = io.BytesIO()
    np.save(file, volumes)
    return file.getvalue()


def _json(volumes: Array) -> bytes:
    """The shortest text that is these float32 again."""
    return orjson.dumps({"inputs": volumes}, option=orjson.OPT_SERIALIZE_NUMPY)


def _parquet(volumes: Array) -> bytes:
    """One column, a volume in each row: undocumented, and MLflow's fastest."""
    file = io.BytesIO()
    rows = list(volumes.reshape(len(volumes), -1))
    pd.DataFrame({"0": rows}).to_parquet(file, compression=None, use_dictionary=False)
    return file.getvalue()


def _ours(body: bytes) -> list[list[float]]:
    return [list(of["probabilities"].values()) for of in orjson.loads(body)["predictions"]]


def _oip(body: bytes) -> Array:
    """JSON, and behind it the tensors that it names, one after the other."""
    said, start = json.JSONDecoder().raw_decode(body.decode("latin-1"))
    for of in said["outputs"]:
        end = start + of["parameters"]["binary_data_size"]
        if of["name"] == "probabilities":
            return np.frombuffer(body[start:end], np.float32).reshape(of["shape"])
        start = end
    raise KeyError("probabilities")


OURS = Protocol("/classify", _BYTES, npy, _ours)
OURS_OIP = Protocol(
    f"/v2/models/{STUDENTS}/infer",
    _BYTES,
    lambda volumes: volumes.tobytes(),
    _oip,
    {"Inference-Header-Content-Length": "0"},  # the body is the tensor
)
MLFLOW_JSON = Protocol(
    "/invocations", "application/json", _json, lambda body: orjson.loads(body)["predictions"]
)
MLFLOW_PARQUET = Protocol(
    "/invocations", "application/vnd.apache.parquet", _parquet, MLFLOW_JSON.read
)
LITSERVE = Protocol(
    "/classify",
    _BYTES,
    lambda volumes: volumes.tobytes(),
    lambda body: orjson.loads(body)["probabilities"],
)
DISCARDING = Protocol("/", _BYTES, npy, lambda body: [])
