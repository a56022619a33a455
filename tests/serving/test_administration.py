import threading
from concurrent.futures import ThreadPoolExecutor

import pytest


def test_reload_takes_what_the_alias_names_now(client, registry):
    registry.promote("2")
    for changed in (True, False):
        answer = client.post("/reload")
        assert answer.status_code == 200
        assert answer.json()["changed"] is changed
        assert answer.json()["model"]["version"] == "2"
    assert registry.downloads == ["2"]


def test_reload_tries_a_version_again_that_failed_before(client, registry):
    registry.promote("3")
    for tries in (1, 2):
        answer = client.post("/reload")
        assert answer.status_code == 503
        assert "version 3 not loaded" in answer.json()["error"]
        assert registry.downloads == tries * ["3"]
    assert client.get("/health/ready").json()["version"] == "1"


def test_reload_says_that_the_registry_is_down(client, registry):
    registry.down = True
    answer = client.post("/reload")
    assert answer.status_code == 503
    assert "is not to be had: ConnectionError: store" in answer.json()["error"]


@pytest.mark.parametrize("asked_by", ["refresh", "reload"])
def test_a_version_is_loaded_once_whoever_asks_meanwhile(quick, tmp_path, asked_by):
    follower, loading, go_on = quick.follower(tmp_path), threading.Event(), threading.Event()
    load = quick.load

    def slowly(version):
        loading.set()
        assert go_on.wait(60)
        return load(version)

    follower._load = slowly
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(follower.reload)
        assert loading.wait(60)
        others = [pool.submit(getattr(follower, asked_by)) for _ in range(3)]
        go_on.set()
        assert first.result()
        assert not any(other.result() for other in others)
    assert quick.loads == ["1"]
