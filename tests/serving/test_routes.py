from dataclasses import replace

import numpy as np
import pytest

from serving.follower import Served
from tests.serving.bodies import mrc, npy, volumes
from tests.serving.conftest import TestClient
from tests.serving.folder_registry import URI
from tests.versions import CALIBRATION, MANIFEST, UNKNOWN, write_random_version
from tomodistill.inference.classifier import Classifier


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
    assert facts["preprocessing"] == {"lowpass": 30.0, "crop": 0}
    assert facts["class_names"] == ["ribosome", "proteasome", "chaperonin"]
    assert facts["tilt_range"] == [-60.0, 60.0]
    assert (facts["engine"], facts["precision"]) == ("keras", "float32")
    assert facts["engines"] == {"keras": {"float32": {}}}
    assert facts["tags"] == {"student": "s3"}
    assert facts["model"]["version"] == "1"
    assert facts["refresh_error"] is None
    assert facts["priors"] is facts["calibration"] is facts["unknown"] is None


@pytest.fixture(scope="module")
def confident(tmp_path_factory) -> Classifier:
    """With a calibration, and a threshold that rejects some."""
    known = {"calibration": CALIBRATION, "unknown": UNKNOWN}
    folder = tmp_path_factory.mktemp("versions") / "confident"
    return Classifier.load(write_random_version(folder, seed=0, **known))


def _serving(app, registry, confident, priors=None) -> TestClient:
    app.state.service.follower.current = Served(confident, registry.resolve(URI), priors)
    return TestClient(app)


def test_unknown_volumes_are_named_so(app, registry, confident):
    stack, client = volumes(12), _serving(app, registry, confident)
    expected = confident.decide(stack)
    answer = client.post("/classify", content=npy(stack))
    np.testing.assert_allclose(_probabilities(answer), expected.probabilities, atol=1e-6)
    predictions = answer.json()["predictions"]
    unknown = [p["unknown"] for p in predictions]
    assert unknown == (expected.scores < UNKNOWN.threshold).tolist()
    assert 0 < sum(unknown) < len(unknown)
    assert [p["class"] == "unknown" for p in predictions] == unknown
    np.testing.assert_allclose([p["score"] for p in predictions], expected.scores, atol=1e-6)


def test_model_tells_calibration_and_threshold(app, registry, confident):
    facts = _serving(app, registry, confident).get("/model").json()
    assert facts["calibration"]["temperature"] == 2.0
    assert facts["calibration"]["measured"] == CALIBRATION.measured
    assert facts["priors"] == CALIBRATION.priors
    assert (facts["unknown"]["score"], facts["unknown"]["threshold"]) == ("max_probability", 0.45)
    assert facts["unknown"]["held_out_b"] == ["groel"]


def test_what_is_not_known_of_the_training_data_is_null(app, registry, confident):
    unknown = {"tilt_range": (np.nan, np.nan), "snr_range": (np.nan, np.nan)}
    of_own_data = replace(confident, manifest=replace(confident.manifest, **unknown))
    facts = _serving(app, registry, of_own_data).get("/model").json()
    assert facts["tilt_range"] == facts["snr_range"] == [None, None]


def test_priors_of_the_user_are_used_and_shown(app, registry, confident, volume):
    priors = confident.priors_of({"chaperonin": 0.9})
    client = _serving(app, registry, confident, priors)
    assert client.get("/model").json()["priors"] == pytest.approx(priors)
    got = _probabilities(client.post("/classify", content=npy(volume)))
    expected = confident.probabilities(volume[None], priors=priors)
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert np.abs(got - confident.probabilities(volume[None])).max() > 0.01


def test_without_a_model_the_service_lives_and_says_why(app, registry):
    (registry.root / "alias").unlink()
    client = TestClient(app)
    assert client.get("/health/live").json() == {"live": True}
    assert "still loading" in client.get("/health/ready").json()["error"]
    app.state.service.follower.refresh()
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
    own = {"200", "400", "408", "413", "415", "422", "429", "503", "504"}
    assert set(classify["responses"]) == own | {"401", "403"}  # the guard's
    prediction = client.get("/openapi.json").json()["components"]["schemas"]["Prediction"]
    shown = {"class", "probability", "probabilities", "unknown", "score"}
    assert set(prediction["properties"]) == shown
