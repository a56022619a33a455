"""A service that starts while its registry is down."""

import json
import os

import pytest

from serving.cache import LastGood
from tests.serving.folder_registry import URI
from tomodistill.errors import InputError
from tomodistill.tracking.versions import ResolvedVersion


@pytest.fixture
def restarted(quick, tmp_path):
    """Version 2 has served from this cache; the registry went down and the service starts anew."""
    before = quick.follower(tmp_path)
    for version in ("1", "2"):
        quick.registry.promote(version)
        before.refresh()
    quick.registry.down = True
    quick.loads.clear()
    return quick.follower(tmp_path)


def test_it_serves_what_served_last_and_says_so(restarted, quick, caplog):
    for _ in range(2):
        restarted.refresh()
        assert restarted.current.resolved.version == "2"
        assert restarted.current.resolved == quick.registry.resolved("2")
        assert "ConnectionError: store" in restarted.problem
        assert restarted.problem.endswith("; serving version 2 from the cache")
    assert caplog.text.count("is not to be had") == 1
    quick.registry.down = False
    restarted.refresh()
    assert restarted.problem is None
    assert quick.loads == ["2"]  # once


def test_a_newer_version_that_does_not_load_is_no_reason_to_serve_nothing(restarted, quick):
    quick.registry.down = False
    quick.registry.promote("3")
    for _ in range(2):
        restarted.refresh()
        assert restarted.current.resolved.version == "2"
        assert "version 3 not loaded: " in restarted.problem
    assert quick.loads == ["3", "2"]


def test_an_alias_that_is_gone_is_no_registry_that_is_down(restarted, quick):
    quick.registry.down = False
    (quick.registry.root / "alias").unlink()
    restarted.refresh()
    assert restarted.current is None
    assert "a production version" in restarted.problem


def test_nothing_is_served_that_was_changed_since(restarted, quick, caplog):
    manifest = quick.registry.root / "2" / "manifest.json"
    manifest.write_text(manifest.read_text() + "\n")
    for _ in range(2):
        restarted.refresh()
        assert restarted.current is None
    assert "version 2 not loaded from the cache: expected the version that served" in caplog.text
    assert quick.loads == ["2"]  # not at every poll


def test_another_store_has_notes_of_its_own(restarted, quick, tmp_path):
    other = quick.follower(tmp_path, store="http://another")
    other.refresh()
    assert other.current is None


def test_a_full_disk_keeps_no_version_from_serving(quick, tmp_path, monkeypatch, caplog):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    follower = quick.follower(tmp_path)
    follower.refresh()
    assert (follower.current.resolved.version, follower.problem) == ("1", None)
    assert "version 1 not noted in the cache: OSError: [Errno 28]" in caplog.text


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"digest": "", "version": {"colour": "blue"}}'])
def test_a_note_that_cannot_be_read_is_none(tmp_path, versions, text):
    noted = LastGood(tmp_path, store="", uri=URI)
    assert noted.read() is None
    version = ResolvedVersion("s", "3", "models:/s/3", "production", "run", {"a": "b"})
    noted.write(version, versions["one"])
    assert noted.read().resolved == version
    noted.read().check(versions["one"])
    with pytest.raises(InputError, match="the version that served last"):
        noted.read().check(versions["two"])
    (path,) = (tmp_path / "last_good").iterdir()
    assert json.loads(path.read_text())["version"]["version"] == "3"
    path.write_text(text)
    assert noted.read() is None
