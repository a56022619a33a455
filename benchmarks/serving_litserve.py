"""The same Classifier behind LitServe: raw volumes in, batched by LitServe, JSON out.

python serving_litserve.py VERSION PORT REQUESTS SECONDS WORKERS

REQUESTS at most are a batch, for which it waits SECONDS. Runs where LitServe is installed, beside
what the Classifier needs; see docs/serving.md.
"""

import sys
from pathlib import Path
from typing import Annotated

import litserve
import numpy as np
import orjson
from fastapi import Body, Response

from tomodistill.inference.classifier import Classifier
from tomodistill.inference.engines import Array

Raw = Annotated[bytes, Body(media_type="application/octet-stream")]  # else it expects JSON
Batch = tuple[Array, list[int]]  # what requests hold, joined, and where it is cut again


class Students(litserve.LitAPI):
    """From a body to probabilities."""

    def __init__(self, folder: Path, requests: int, seconds: float) -> None:
        super().__init__(max_batch_size=requests, batch_timeout=seconds, api_path="/classify")
        self._folder = folder

    def setup(self, device: str) -> None:
        """In each of its processes."""
        self._classifier = Classifier.load(self._folder)

    def decode_request(self, request: Raw) -> Array:
        """(n, d, d, d) float32."""
        box = self._classifier.manifest.box
        return np.frombuffer(request, np.float32).reshape(-1, box, box, box)

    def batch(self, inputs: list[Array]) -> Batch:
        """Of all that wait."""
        return np.concatenate(inputs), np.cumsum([len(of) for of in inputs[:-1]], dtype=int)

    def predict(self, x: Batch) -> Batch:
        """(n, classes) probabilities."""
        volumes, cuts = x
        return self._classifier.decide(volumes).probabilities, cuts

    def unbatch(self, output: Batch) -> list[Array]:
        """To each its own."""
        return np.split(*output)

    def encode_response(self, output: Array) -> Response:
        """JSON, by the fastest that writes it."""
        answer = orjson.dumps({"probabilities": output}, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(answer, media_type="application/json")


if __name__ == "__main__":
    folder, port, requests, seconds, workers = sys.argv[1:]
    api = Students(Path(folder), int(requests), float(seconds))
    server = litserve.LitServer(
        api, accelerator="cpu", workers_per_device=int(workers), fast_queue=True
    )
    server.run(host="127.0.0.1", port=int(port), generate_client_file=False, log_level="warning")
