import numpy as np
import pytest

from tests.serving.bodies import mrc, npy, volumes
from tests.serving.conftest import TestClient
from tests.versions import MANIFEST


def _probabilities(answer) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    predictions = answer.json()["predictions"]
    return np.array([[p["probabilities"][n] for n in MANIFEST.class_names] for p in predictions])


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("form", ["npy", "mrc"])
def test_probabilities_are_the_classifiers_own(client, classifiers, tmp_path, form, count):
    stack = volumes(count)
    body = npy(stack) if form == "npy" else mrc(tmp_path, stack)
    expected = classifiers["one"].probabilities(stack)
    np.testing.assert_allclose(
        _probabilities(client.post("/classify", content=body)), expected, atol=1e-6
    )


def test_one_volume_without_a_stack_axis(client, classifiers, tmp_path, volume):
    expected = classifiers["one"].probabilities(volume[None])
    for body in (npy(volume), mrc(tmp_path, volume)):
        got = _probabilities(client.post("/classify", content=body))
        np.testing.assert_allclose(got, expected, atol=1e-6)


def test_answer_names_version_lineage_and_device(client, volume):
    answer = client.post("/classify", content=npy(volume)).json()
    assert answer["model"] == {
        "name": "subtomogram-student",
        "version": "1",
        "alias": "production",
        "run_id": "run1",
        "student": "s3",
        "labels": "soft",
        "temperature": 5.0,
        "teacher": "f" * 64,
        "soft_labels": "e" * 64,
        "data": "d" * 64,
    }
    assert answer["device"].startswith(("cpu", "gpu"))


def test_body_of_curl_is_taken_for_what_it_is(client, volume):
    form = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "identity"}
    assert client.post("/classify", content=npy(volume), headers=form).status_code == 200


def test_model_tells_what_it_expects(client):
    facts = client.get("/model").json()
    assert facts["box"] == 27
    assert facts["voxel_spacing"] == 10.0
    assert facts["contrast"] == "dark"
    assert facts["preprocessing"] == {"lowpass": 30.0}
    assert facts["class_names"] == ["ribosome", "proteasome", "chaperonin"]
    assert facts["tilt_range"] == [-60.0, 60.0]
    assert facts["engine"] == "keras"
    assert facts["tags"] == {"student": "s3"}
    assert facts["model"]["version"] == "1"
    assert facts["refresh_error"] is None


def test_without_a_model_the_service_lives_and_says_why(app, registry):
    (registry.root / "alias").unlink()
    client = TestClient(app)
    assert client.get("/health/live").json() == {"live": True}
    assert "still loading" in client.get("/health/ready").json()["error"]
    app.state.follower.refresh()
    for answer in (
        client.get("/health/ready"),
        client.get("/model"),
        client.post("/classify", content=npy(volumes(1))),
    ):
        assert answer.status_code == 503
        assert "a production version" in answer.json()["error"]


def test_ready_with_a_model(client):
    answer = client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json()["ready"] is True
    assert answer.json()["version"] == "1"


def test_overview_points_to_routes_that_exist(client):
    overview = client.get("/").json()
    for name in ("model", "live", "ready", "docs"):
        assert client.get(overview[name]).status_code == 200


def test_openapi_describes_the_body_and_every_error(client):
    classify = client.get("/openapi.json").json()["paths"]["/classify"]["post"]
    body = classify["requestBody"]["content"]["application/octet-stream"]["schema"]
    assert body == {"type": "string", "format": "binary"}
    assert set(classify["responses"]) == {"200", "400", "413", "415", "422", "503"}
    prediction = client.get("/openapi.json").json()["components"]["schemas"]["Prediction"]
    assert set(prediction["properties"]) == {"class", "probability", "probabilities"}
