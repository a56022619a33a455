"""The clients of others, unmodified, against the service over real sockets."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import uvicorn
from tritonclient import http as triton
from tritonclient.http import aio
from tritonclient.utils import InferenceServerException

from serving.loading import Served
from tests.processes import free_port, wait_for
from tests.serving.bodies import volumes
from tests.serving.conftest import TestClient
from tests.serving.folder_registry import URI
from tests.versions import CALIBRATION, MANIFEST, UNKNOWN, write_random_version
from tomodistill.inference.classifier import Classifier

MODEL = "subtomogram-student"
STACK = volumes(3)


@pytest.fixture
def address(app, client) -> Iterator[str]:
    """Of the application that `client` has given its model, served by a thread."""
    port = free_port()
    config = uvicorn.Config(app, port=port, lifespan="off", log_level="warning", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_for(lambda: server.started)
    yield f"127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def asked(address) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(address) as client:
        yield client


def tensor(array: np.ndarray = STACK, binary: bool = True) -> triton.InferInput:
    datatype = {"float32": "FP32", "float16": "FP16", "int8": "INT8"}[array.dtype.name]
    made = triton.InferInput("volumes", list(array.shape), datatype)
    return made.set_data_from_numpy(array, binary_data=binary)


def assert_close(got: np.ndarray, expected: np.ndarray) -> None:
    assert got.dtype == expected.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=1e-5)  # by the company in a batch


def test_server_and_model_say_what_they_are(asked):
    assert asked.is_server_live()
    assert asked.is_server_ready()
    assert asked.get_server_metadata()["extensions"] == ["binary_tensor_data", "model_repository"]
    assert asked.get_model_repository_index() == [
        {"name": MODEL, "version": "1", "state": "READY", "reason": ""}
    ]
    for version in ("", "1", "production"):
        assert asked.is_model_ready(MODEL, version)
        assert asked.get_model_metadata(MODEL, version) == {
            "name": MODEL,
            "versions": ["1"],
            "platform": "tomodistill_keras",
            "inputs": [{"name": "volumes", "datatype": "FP32", "shape": [-1, 27, 27, 27]}],
            "outputs": [
                {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]},
                {"name": "class_name", "datatype": "BYTES", "shape": [-1]},
                {"name": "class", "datatype": "INT64", "shape": [-1]},
            ],
        }
    assert not asked.is_model_ready(MODEL, "2")
    assert not asked.is_model_ready("another")


@pytest.mark.parametrize("version", ["", "1", "production"])
@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
def test_binary_volumes_get_the_classifiers_answer(asked, classifiers, version, compression):
    result = asked.infer(
        MODEL,
        [tensor()],
        model_version=version,
        request_id="7",
        request_compression_algorithm=compression,
    )
    expected = classifiers["one"].decide(STACK)
    assert_close(result.as_numpy("probabilities"), expected.probabilities)
    np.testing.assert_array_equal(result.as_numpy("class"), expected.classes, strict=True)
    names = [MANIFEST.class_names[row].encode() for row in expected.classes]
    assert result.as_numpy("class_name").tolist() == names
    answer = result.get_response()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == (MODEL, "1", "7")
    assert all(set(output["parameters"]) == {"binary_data_size"} for output in answer["outputs"])


def test_json_gets_the_same_answer_in_json(asked, classifiers):
    wanted = [triton.InferRequestedOutput(n, binary_data=False) for n in ("class", "probabilities")]
    result = asked.infer(MODEL, [tensor(STACK[0], binary=False)], outputs=wanted)
    expected = classifiers["one"].decide(STACK[:1])
    assert_close(result.as_numpy("probabilities"), expected.probabilities)
    assert [o["name"] for o in result.get_response()["outputs"]] == ["class", "probabilities"]
    assert result.get_output("class")["data"] == expected.classes.tolist()


@pytest.mark.parametrize("dtype", ["f2", "i1"])
def test_other_numbers_are_volumes_too(asked, classifiers, dtype):
    stored = (STACK * 10).astype(dtype)
    got = asked.infer(MODEL, [tensor(stored)]).as_numpy("probabilities")
    assert_close(got, classifiers["one"].probabilities(stored.astype(np.float32)))


def test_the_answer_says_what_it_came_from_and_what_the_volumes_were_taken_for(asked, classifiers):
    facts = asked.infer(MODEL, [tensor()]).get_response()["parameters"]
    assert facts["device"].startswith(("cpu", "gpu"))
    assert {**facts, "device": ""} == {
        "alias": "production",
        "run_id": "run1",
        "student": "s3",
        "labels": "soft",
        "temperature": 5.0,
        "teacher": "f" * 64,
        "soft_labels": "e" * 64,
        "data": "d" * 64,
        "engine": "keras",
        "precision": "float32",
        "device": "",
        "box": 27,
        "voxel_spacing": 10.0,
        "contrast": "dark",
        "rescaled": False,
        "assumed": "voxel_spacing, contrast",
    }
    told = {"contrast": "bright", "voxel_spacing": 10.1}
    result = asked.infer(MODEL, [tensor()], parameters=told)
    expected = classifiers["one"].decide(STACK, contrast="bright").probabilities
    assert_close(result.as_numpy("probabilities"), expected)
    facts = result.get_response()["parameters"]
    assert told | {"assumed": ""} == {name: facts[name] for name in (*told, "assumed")}


def test_what_is_unknown_is_said_to_be(asked, app, registry, tmp_path):
    folder = write_random_version(
        tmp_path / "version", seed=0, calibration=CALIBRATION, unknown=UNKNOWN
    )
    confident, stack = Classifier.load(folder), volumes(12)
    app.state.service.follower.current = Served(confident, registry.resolve(URI))
    result = asked.infer(MODEL, [tensor(stack)])
    expected = confident.decide(stack)
    unknown = expected.classes == -1
    assert 0 < unknown.sum() < len(unknown)
    np.testing.assert_array_equal(result.as_numpy("unknown"), unknown, strict=True)
    np.testing.assert_array_equal(result.as_numpy("class_name") == b"unknown", unknown)
    np.testing.assert_array_equal(result.as_numpy("class"), expected.classes)
    np.testing.assert_allclose(result.as_numpy("score"), expected.scores, atol=1e-6)


@pytest.mark.parametrize(
    ("asking", "status", "words"),
    [
        ({"model_name": "another"}, "404", "subtomogram-student in version 1, by the alias"),
        ({"model_version": "2"}, "404", "found 'subtomogram-student' '2'"),
        ({"inputs": [tensor(volumes(1, box=26))]}, "422", "27 x 27 x 27"),
        ({"inputs": [tensor(STACK * np.nan)]}, "422", "NaN"),
        ({"inputs": [tensor(), tensor()]}, "400", "at most 1 item"),
        ({"outputs": [triton.InferRequestedOutput("logits")]}, "400", "probabilities, class_name"),
        ({"parameters": {"voxel_spacing": 99.0}}, "422", "99"),
        ({"parameters": {"spacing": 10.0}}, "400", "'spacing' is none of"),
        ({"priority": 1}, "400", "'priority' is none of"),
        ({"timeout": 1}, "504", "deadline"),
        ({"headers": {"Content-Encoding": "br"}}, "415", "gzip, deflate"),
    ],
)
def test_errors_are_the_clients_own_with_our_words(asked, asking, status, words):
    with pytest.raises(InferenceServerException, match=words) as caught:
        asked.infer(**{"model_name": MODEL, "inputs": [tensor()], **asking})
    assert caught.value.status() == status


def test_the_asynchronous_client_is_answered_likewise(address, classifiers):
    async def ask() -> None:
        async with aio.InferenceServerClient(address) as asked:
            assert await asked.is_model_ready(MODEL, "production")
            assert (await asked.get_model_metadata(MODEL))["versions"] == ["1"]
            results = await asyncio.gather(*(asked.infer(MODEL, [tensor(v)]) for v in STACK))
            got = np.concatenate([result.as_numpy("probabilities") for result in results])
            assert_close(got, classifiers["one"].probabilities(STACK))
            with pytest.raises(InferenceServerException, match="in service; found 'other'"):
                await asked.infer("other", [tensor()])

    asyncio.run(ask())


def test_volumes_alone_are_answered_in_binary(client, classifiers):
    headers = {"Inference-Header-Content-Length": "0"}
    answer = client.post(f"/v2/models/{MODEL}/infer", content=STACK.tobytes(), headers=headers)
    length = int(answer.headers["Inference-Header-Content-Length"])
    got = np.frombuffer(answer.content[length : length + 36], "<f4").reshape(3, 3)
    assert_close(got, classifiers["one"].probabilities(STACK))


def test_a_version_that_another_replaced_in_between_does_not_answer(app, client, monkeypatch):
    one = app.state.service.follower.current
    two = replace(one, resolved=replace(one.resolved, version="2"))
    monkeypatch.setattr(app.state.service, "served", iter([one, two]).__next__)
    headers = {"Inference-Header-Content-Length": "0"}
    path = f"/v2/models/{MODEL}/versions/1/infer"
    answer = client.post(path, content=STACK.tobytes(), headers=headers)
    assert answer.status_code == 404
    assert "in version 2" in answer.json()["error"]


def test_without_a_model_the_service_lives_and_is_not_ready(app):
    client = TestClient(app)
    for path in ("/v2", "/v2/health/live"):
        assert client.get(path).status_code == 200
    for path in ("/v2/health/ready", f"/v2/models/{MODEL}/ready", f"/v2/models/{MODEL}"):
        assert client.get(path).status_code == 503
    assert client.post("/v2/repository/index").status_code == 503
    assert client.post(f"/v2/models/{MODEL}/infer", content=b"x").status_code == 503


def test_a_service_that_stops_is_not_ready_and_still_answers(app, client):
    app.state.service.draining = True
    for path in ("/v2/health/ready", f"/v2/models/{MODEL}/ready"):
        assert client.get(path).status_code == 503
    headers = {"Inference-Header-Content-Length": "0"}
    path = f"/v2/models/{MODEL}/infer"
    assert client.post(path, content=STACK.tobytes(), headers=headers).status_code == 200
