"""The KServe SDK, unmodified, against a service that runs: every answer agrees with the others.

It cannot live beside the project (kserve 0.21.0 wants another psutil), so in an environment of its
own, with any service at URL that has a model in production:

    uv venv --python 3.11 kserve
    uv pip install --python kserve/bin/python kserve==0.21.0 numpy
    kserve/bin/python benchmarks/kserve_client.py http://127.0.0.1:8000

It ends with 0 and the probabilities, or with the first thing that is wrong.
"""

import asyncio
import json
import sys
import urllib.request
from collections.abc import Awaitable

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig
from kserve.protocol.infer_type import InferResponse

COUNT = 4


def metadata(url: str) -> dict:
    """Of the one model in service, which the SDK does not ask for."""
    with urllib.request.urlopen(
        urllib.request.Request(f"{url}/v2/repository/index", b"")
    ) as answer:
        (model,) = json.load(answer)
    with urllib.request.urlopen(f"{url}/v2/models/{model['name']}") as answer:
        return json.load(answer)


def asking(model: str, volumes: np.ndarray, *, binary: bool, **parameters) -> InferRequest:
    tensor = InferInput("volumes", list(volumes.shape), "FP32")
    tensor.set_data_from_numpy(volumes, binary_data=binary)
    return InferRequest(model, [tensor], request_id="7", parameters=parameters)


def probabilities(answer: InferResponse) -> np.ndarray:
    """(n, classes), each row summing to 1, and the outputs agreeing with one another."""
    by_name = {output.name: output.as_numpy() for output in answer.outputs}
    found = by_name["probabilities"]
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    kept = by_name["class"] >= 0
    np.testing.assert_array_equal(by_name["class"][kept], found.argmax(axis=1)[kept])
    assert answer.id == "7"
    assert len(answer.parameters["data"]) == 64
    return found


async def refusal(asking: Awaitable[object]) -> httpx.Response:
    """The answer that the SDK makes an exception of."""
    try:
        await asking
    except httpx.HTTPStatusError as error:
        return error.response
    raise AssertionError("it was answered")


async def check(url: str) -> np.ndarray:
    known = metadata(url)
    name, box = known["name"], known["inputs"][0]["shape"][-1]
    volumes = np.random.default_rng(7).normal(size=(COUNT, box, box, box)).astype(np.float32)
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        assert await client.is_server_live(url)
        assert await client.is_server_ready(url)
        assert await client.is_model_ready(url, name)
        assert not await client.is_model_ready(url, "another")

        async def classify(**more) -> np.ndarray:
            return probabilities(await client.infer(url, asking(name, **more), model_name=name))

        found = await classify(volumes=volumes, binary=True, binary_data_output=True)
        assert found.shape == (COUNT, known["outputs"][0]["shape"][1])
        mixed = await classify(volumes=volumes, binary=True)
        one = await classify(volumes=volumes[:1], binary=False)
        np.testing.assert_allclose(mixed, found, atol=1e-5)
        np.testing.assert_allclose(one, found[:1], atol=1e-5)
        refused = await refusal(classify(volumes=volumes[:, 1:], binary=True))
        assert refused.status_code == 422, refused.text
        assert "cubic" in refused.json()["error"]
    return found


if __name__ == "__main__":
    print(asyncio.run(check(sys.argv[1])))
