"""MLflow's scoring protocol, by MLflow's own client over a socket, and with hostile JSON."""

import json
from importlib import metadata

import numpy as np
import pytest
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

from serving.body import JSON_LIMIT
from serving.follower import Served
from tests.serving.bodies import volumes
from tests.serving.conftest import TestClient
from tests.serving.folder_registry import URI
from tests.serving.listening import listening
from tests.versions import CALIBRATION, MANIFEST, UNKNOWN, write_random_version
from tomodistill.inference.classifier import Classifier

JSON = {"Content-Type": "application/json"}
TYPE_OF_CURL = "application/json; charset=utf-8"


def invoked(client, body: object, **headers: str):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post("/invocations", content=content, headers={**JSON, **headers})


def refused(client, body: object, status: int) -> str:
    answer = invoked(client, body)
    assert (answer.status_code, set(answer.json())) == (status, {"error"}), answer.text
    return answer.json()["error"]


@pytest.fixture
def roomy(app, client) -> TestClient:
    """Bodies may be larger than JSON may be."""
    object.__setattr__(app.state.service.config, "max_body_mib", 32)
    return client


def test_mlflows_own_client(app, roomy, classifiers):
    stack = volumes(3)
    expected = classifiers["one"].probabilities(stack)
    with listening(app) as (_, port):
        client = ScoringServerClient("127.0.0.1", port)
        client.wait_server_ready()
        assert client.get_version() == metadata.version("mlflow")
        answer = client.invoke(stack)
        bright = client.invoke(stack, params={"contrast": "bright"})
        with pytest.raises(Exception, match=r"error code 400, .*expected JSON"):  # it sends NaN
            client.invoke(stack * np.nan)
    got = answer.get_predictions("ndarray", dtype=np.float32)
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert answer.get_predictions().shape == (3, 3)  # a table
    assert answer["class_names"] == list(MANIFEST.class_names)
    assert (answer["model"]["version"], answer["unknown"]) == ("1", None)
    assert bright["input"]["contrast"] == "bright"
    assert np.abs(bright.get_predictions("ndarray") - expected).max() > 0.01


@pytest.mark.parametrize("form", ["inputs", "instances"])
@pytest.mark.parametrize("named", [False, True])
def test_every_form_gets_the_same_answer(client, classifiers, volume, form, named):
    tensor = {"volumes": volume[None].tolist()} if named else volume[None].tolist()
    answer = invoked(client, {form: tensor, "params": None}, **{"Content-Type": TYPE_OF_CURL})
    assert answer.status_code == 200, answer.text
    expected = classifiers["one"].probabilities(volume[None])
    np.testing.assert_allclose(answer.json()["predictions"], expected, atol=1e-6)


def test_one_volume_needs_no_stack_axis(client, volume):
    alone, stack = ({"inputs": v.tolist()} for v in (volume, volume[None]))
    assert invoked(client, alone).json() == invoked(client, stack).json()


def test_unknown_volumes_are_told(app, registry, roomy, tmp_path):
    known = {"calibration": CALIBRATION, "unknown": UNKNOWN}
    confident = Classifier.load(write_random_version(tmp_path / "version", seed=0, **known))
    app.state.service.follower.current = Served(confident, registry.resolve(URI))
    rejected = confident.decide(volumes(12)).classes == -1
    rows = [int(np.argmax(rejected)), int(np.argmin(rejected))]
    answer = invoked(roomy, {"inputs": volumes(12)[rows].tolist()}).json()
    assert answer["unknown"] == [True, False]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "expected JSON"),
        (b"\xff", 400, "expected JSON"),
        (b'{"inputs": [NaN]}', 400, "expected JSON"),
        (b'{"inputs": ' + b"[" * 1030 + b"]" * 1030 + b"}", 400, "expected JSON"),
        ([1.0], 400, "found list"),
        ({}, 400, '"inputs" or "instances"'),
        ({"inputs": [], "instances": []}, 400, "found inputs, instances"),
        ({"dataframe_split": {"data": []}}, 400, "found dataframe_split"),
        ({"x" * 1000: 1}, 400, "found " + "x" * 100 + "."),
        ({"inputs": {"volumes": [], "masks": []}}, 400, "found masks, volumes"),
        ({"inputs": 3.0}, 422, "shape ()"),
        ({"inputs": None}, 400, "found NoneType"),
        ({"inputs": []}, 422, "shape (0,)"),
        ({"inputs": [[[[[1.0]]]]]}, 400, "found list"),
        ({"inputs": ["1.5", "2"]}, 400, "found str"),
        ({"inputs": ["x" * 500_000, *[""] * 100_000]}, 400, "found str"),
        ({"inputs": [[True, None]]}, 400, "found NoneType, bool"),
        ({"inputs": [[1, 2], [3]]}, 400, "ragged"),
        ({"inputs": [[1, 2], 3]}, 400, "found int, list"),
        ({"inputs": np.full((3, 3, 3), 1e300).tolist()}, 422, "infinity"),
        ({"inputs": np.ones((1, 2, 3, 4)).tolist()}, 422, "shape (1, 2, 3, 4)"),
        ({"inputs": np.arange(8.0).reshape(2, 2, 2).tolist()}, 422, "boxes of 27 x 27 x 27"),
        ({"inputs": [], "params": {"temperature": 2}}, 422, "found {'temperature': 2}"),
        ({"inputs": [], "params": [1]}, 422, "found [1]"),
        ({"inputs": [], "params": {"voxel_spacing": -1}}, 422, "voxel_spacing as /docs"),
    ],
)
def test_what_is_no_tensor_is_refused(client, body, status, words):
    assert words in refused(client, body, status)


def test_parameters_are_those_of_a_query(client):
    fine = volumes(1, box=54)[0].round()
    body = {"inputs": fine.tolist(), "params": {"voxel_spacing": 5, "timeout": 60}}
    taken = invoked(client, body).json()["input"]
    assert (taken["box"], taken["rescaled"], taken["assumed"]) == (54, True, ["contrast"])


def test_more_json_than_is_parsed_is_refused(roomy):
    assert f"expected {JSON_LIMIT} bytes" in refused(roomy, b" " * (JSON_LIMIT + 1), 413)


@pytest.mark.parametrize("kind", ["text/csv", "application/x-www-form-urlencoded", ""])
def test_other_content_types_are_refused(client, kind):
    answer = invoked(client, {"inputs": []}, **{"Content-Type": kind})
    assert answer.status_code == 415
    assert f"expected Content-Type application/json; found {kind!r}" in answer.json()["error"]


def test_without_a_model_nobody_is_told_it_is_there(app):
    client = TestClient(app)
    for answer in (client.get("/ping"), invoked(client, {"inputs": []})):
        assert answer.status_code == 503
        assert "no model is loaded" in answer.json()["error"]
