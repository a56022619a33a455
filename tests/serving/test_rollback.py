"""A version that fails at its work, not when it is loaded."""

from dataclasses import replace

import pytest

from serving.follower import ERRORS
from tests.serving.bodies import npy, volumes

BOOM = RuntimeError("the engine is gone")


class _Gone:
    """An engine that fails from now on."""

    name, device, precision, batch = "keras", "cpu:0", "float32", 64

    def logits(self, _):
        raise BOOM


@pytest.fixture
def follower(quick, tmp_path):
    """Version 1 has served, 2 serves, and its engine fails."""
    follower = quick.follower(tmp_path)
    quick.classifiers["2"] = replace(quick.classifiers["2"], engine=_Gone())
    follow(follower, quick, "1")
    follow(follower, quick, "2")
    return follower


def follow(follower, quick, version):
    quick.registry.promote(version)
    follower.refresh()


def fail(follower, times=ERRORS):
    served = follower.current
    for _ in range(times):
        follower.heard(served, BOOM)


def version(follower):
    return follower.current.resolved.version


def test_the_version_before_is_back_at_once_and_stays(follower, quick, caplog):
    fail(follower)
    assert version(follower) == "1"
    for _ in range(2):
        assert "version 2 was rolled back: it failed 3 calls" in follower.problem
        assert "RuntimeError: the engine is gone" in follower.problem
        follower.refresh()
    assert quick.loads == ["1", "2"]
    assert quick.swaps("rolled_back") == 1
    assert caplog.text.count("version 2 was rolled back") == 1
    assert "version 1 keeps serving" in caplog.text


def test_whoever_asks_has_the_version_before(app, client, registry, monkeypatch):
    registry.promote("2")
    assert client.post("/reload").json()["changed"]
    engine = app.state.service.follower.current.classifier.engine
    monkeypatch.setattr(engine, "logits", _Gone().logits)
    answers = [client.post("/classify", content=npy(volumes(1))) for _ in range(ERRORS + 1)]
    assert [answer.status_code for answer in answers] == [503] * ERRORS + [200]
    assert answers[-1].json()["model"]["version"] == "1"
    assert "version 2 was rolled back" in client.get("/health/ready").json()["refresh_error"]


def test_a_restart_without_a_registry_finds_the_version_that_was_rolled_back_to(
    follower, quick, tmp_path
):
    fail(follower)
    quick.registry.down = True
    restarted = quick.follower(tmp_path)
    restarted.refresh()
    assert version(restarted) == "1"


def test_what_was_rolled_back_is_loaded_again_when_the_alias_moved_or_someone_says_so(
    follower, quick
):
    fail(follower)
    follow(follower, quick, "1")
    assert follower.problem is None
    follow(follower, quick, "2")
    fail(follower)
    assert version(follower) == "1"
    assert follower.reload()
    assert (version(follower), follower.problem) == ("2", None)
    assert quick.loads == ["1", "2", "2", "2"]


def test_a_call_that_succeeds_is_a_new_beginning(follower):
    for _ in range(3):
        fail(follower, ERRORS - 1)
        follower.heard(follower.current, None)
    assert version(follower) == "2"


def test_what_is_still_computed_by_the_old_version_says_nothing_of_the_new_one(follower):
    old = follower.current
    fail(follower)
    for _ in range(2 * ERRORS):
        follower.heard(old, BOOM)
    assert version(follower) == "1"


def test_requests_that_fail_on_a_sound_version_do_not_remove_it(follower, quick):
    follow(follower, quick, "1")  # whose engine passes the test
    fail(follower, 4 * ERRORS)
    assert (version(follower), follower.problem) == ("1", None)


def test_without_a_version_before_it_stays_and_says_so_until_it_works(quick, tmp_path):
    quick.classifiers["1"] = replace(quick.classifiers["1"], engine=_Gone())
    follower = quick.follower(tmp_path)
    follower.refresh()
    fail(follower)
    follower.refresh()
    assert version(follower) == "1"
    assert "version 1 has none to roll back to: it failed 3 calls" in follower.problem
    follower.heard(follower.current, None)
    follower.refresh()
    assert follower.problem is None
