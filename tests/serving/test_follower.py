import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from serving.cache import LastGood
from serving.follower import RETRY_SECONDS, Follower
from serving.loading import Loader
from serving.metrics import Metrics
from tests.serving.bodies import npy, volumes
from tests.serving.conftest import TestClient
from tests.serving.folder_registry import URI
from tests.versions import CALIBRATION, MANIFEST, write_random_version
from tomodistill.tracking.versions import DIGEST_TAG


def _classified_by(client) -> tuple[str, np.ndarray]:
    answer = client.post("/classify", content=npy(volumes(1)))
    assert answer.status_code == 200, answer.text
    by_class = answer.json()["predictions"][0]["probabilities"]
    return answer.json()["model"]["version"], np.array([by_class[n] for n in MANIFEST.class_names])


@pytest.fixture
def expected(classifiers) -> dict[str, np.ndarray]:
    """Version -> probabilities of the volume that `_classified_by` sends."""
    by_name = {name: c.probabilities(volumes(1))[0] for name, c in classifiers.items()}
    assert np.abs(by_name["one"] - by_name["two"]).max() > 0.05
    return {"1": by_name["one"], "2": by_name["two"]}


def test_promotion_changes_version_and_numbers(app, client, registry, expected):
    for version in ("1", "2", "1"):
        registry.promote(version)
        app.state.service.follower.refresh()
        answered, probabilities = _classified_by(client)
        assert answered == version
        np.testing.assert_allclose(probabilities, expected[version], atol=1e-6)


def test_same_version_is_loaded_once(app, registry):
    for _ in range(3):
        app.state.service.follower.refresh()
    assert registry.downloads == ["1"]


def test_broken_version_keeps_the_old_one_and_is_told(app, client, registry, expected, caplog):
    registry.promote("3")
    for _ in range(3):
        app.state.service.follower.refresh()
    answered, probabilities = _classified_by(client)
    assert answered == "1"
    np.testing.assert_allclose(probabilities, expected["1"], atol=1e-6)
    ready = client.get("/health/ready")
    assert ready.status_code == 200
    for error in (ready.json()["refresh_error"], client.get("/model").json()["refresh_error"]):
        assert "version 3 not loaded" in error
        assert "model.keras" in error
    assert caplog.text.count("version 3 not loaded") == 1  # once per cause
    assert "version 1 keeps serving" in caplog.text
    assert registry.downloads == ["3"]  # not at every poll


def test_after_a_broken_version_a_sound_one_is_taken_at_once(app, client, registry):
    registry.promote("3")
    app.state.service.follower.refresh()
    registry.promote("2")
    app.state.service.follower.refresh()
    assert _classified_by(client)[0] == "2"
    assert client.get("/model").json()["refresh_error"] is None


def test_failed_version_is_tried_again_after_a_while(registry, versions, tmp_path):
    follower = _follower(registry, tmp_path, retry_seconds=0.2)
    registry.promote("3")
    follower.refresh()
    follower.refresh()
    assert registry.downloads == ["3"]
    mended = (versions["two"] / "model.keras").read_bytes()
    for name in ("manifest.json", "probe.npy", "probe_logits.npy"):
        (registry.root / "3" / name).write_bytes((versions["two"] / name).read_bytes())
    (registry.root / "3" / "model.keras").write_bytes(mended)
    time.sleep(0.2)
    follower.refresh()
    assert follower.problem is None
    assert follower.current is not None
    assert follower.current.resolved.version == "3"


def test_priors_are_completed_for_each_version(registry, tmp_path):
    folder = write_random_version(tmp_path / "made", seed=0, calibration=CALIBRATION)
    registry.publish("4", folder)
    registry.promote("4")
    follower = _follower(registry, tmp_path, priors={"ribosome": 0.8})
    follower.refresh()
    assert follower.current is not None
    expected = {"ribosome": 0.8, "proteasome": 0.1, "chaperonin": 0.1}
    assert follower.current.priors == pytest.approx(expected)


@pytest.mark.parametrize(
    ("named", "words"),
    [({"virus": 0.2}, "found virus"), ({"ribosome": 0.2}, "a version with a calibration")],
)
def test_a_version_that_cannot_have_the_priors_is_not_served(registry, tmp_path, named, words):
    if "virus" in named:
        made = write_random_version(tmp_path / "made", seed=0, calibration=CALIBRATION)
        registry.publish("4", made)
        registry.promote("4")
    follower = _follower(registry, tmp_path, priors=named)
    follower.refresh()
    assert follower.current is None
    assert words in follower.problem


def _follower(registry, cache, *, priors=None, retry_seconds=RETRY_SECONDS) -> Follower:
    return Follower(
        URI,
        resolve=registry.resolve,
        load=Loader(registry.download, cache, priors=priors).load,
        last_good=LastGood(cache, store="", uri=URI),
        metrics=Metrics(),
        retry_seconds=retry_seconds,
    )


def test_store_gone_keeps_serving_and_is_logged_once(app, client, registry, caplog):
    registry.down = True
    for _ in range(3):
        app.state.service.follower.refresh()
    assert _classified_by(client)[0] == "1"
    error = client.get("/health/ready").json()["refresh_error"]
    assert "ConnectionError: store" in error
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 1
    registry.down = False
    app.state.service.follower.refresh()
    assert client.get("/health/ready").json()["refresh_error"] is None


def test_a_login_within_an_error_is_not_told(quick, tmp_path, monkeypatch):
    def fail(_):
        raise ConnectionError("http://user:secret@server/api failed")

    monkeypatch.setattr(quick.registry, "resolve", fail)
    follower = quick.follower(tmp_path)
    follower.refresh()
    assert follower.problem == f"{URI} is not to be had: ConnectionError: http://server/api failed"


def test_the_same_number_with_another_digest_is_another_version(quick, tmp_path, monkeypatch):
    version, digests = quick.registry.resolved("1"), iter("aab")

    def resolve(_):
        return replace(version, tags={DIGEST_TAG: next(digests)})

    monkeypatch.setattr(quick.registry, "resolve", resolve)
    follower = quick.follower(tmp_path)
    for _ in range(3):
        follower.refresh()
    assert quick.loads == ["1", "1"]


def test_alias_gone_keeps_serving(app, client, registry):
    (registry.root / "alias").unlink()
    app.state.service.follower.refresh()
    assert _classified_by(client)[0] == "1"
    assert "a production version" in client.get("/model").json()["refresh_error"]


def test_requests_during_swaps_get_the_numbers_of_the_version_they_name(
    app, client, registry, expected
):
    def ask_until_done() -> list[tuple[str, np.ndarray]]:
        answers = [_classified_by(client)]
        while not done.is_set():
            answers.append(_classified_by(client))
        return answers

    done = threading.Event()
    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask_until_done) for _ in range(3)]
        try:
            for version in ("2", "1", "2"):
                registry.promote(version)
                app.state.service.follower.refresh()
        finally:
            done.set()
        answers = [answer for future in asking for answer in future.result()]
    assert {version for version, _ in answers} == {"1", "2"}
    for version, probabilities in answers:
        np.testing.assert_allclose(probabilities, expected[version], atol=1e-5)


def test_thread_loads_the_model_and_ends_with_the_application(app):
    with TestClient(app) as client:
        assert _follower_threads()
        deadline = time.monotonic() + 30
        while client.get("/health/ready").status_code == 503 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert _classified_by(client)[0] == "1"
    assert not _follower_threads()


def _follower_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "model-follower"]
