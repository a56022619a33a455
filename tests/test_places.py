import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest

from entrypoints import simulate
from serving.config import ServiceConfig
from tomodistill import places
from tomodistill.errors import InputError

ROOT = Path(__file__).parent.parent
NOBODY = 65534


@pytest.fixture
def as_another_user():
    """A folder that the test may read and not write, root or not."""
    folder = Path(tempfile.mkdtemp())  # `tmp_path` lets no other user in
    folder.chmod(0o555)
    privileged = os.geteuid() == 0
    if privileged:
        os.seteuid(NOBODY)
    yield folder
    if privileged:
        os.seteuid(0)
    shutil.rmtree(folder)


def test_data_lies_in_the_working_directory_unless_told_otherwise(monkeypatch):
    monkeypatch.delenv("TOMODISTILL_DATA", raising=False)
    assert (places.sets(), places.models()) == (Path("data/sets"), Path("data/models"))
    monkeypatch.setenv("TOMODISTILL_DATA", "")
    assert places.data_folder() == Path("data")
    monkeypatch.setenv("TOMODISTILL_DATA", "/somewhere")
    assert places.sets() == Path("/somewhere/sets")
    assert places.models() == ServiceConfig().cache_folder == Path("/somewhere/models")
    assert ServiceConfig(cache="mine").cache_folder == Path("mine")


def test_a_relative_place_is_refused(monkeypatch):
    monkeypatch.setenv("TOMODISTILL_DATA", "here")
    with pytest.raises(InputError, match='TOMODISTILL_DATA="\\$PWD/here"'):
        places.data_folder()


def test_a_writable_folder_is_made_and_left_empty(tmp_path):
    folder = tmp_path / "data/sets"
    assert places.writable(folder) == folder
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named_with_the_remedy(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"/file/sets: Not a directory.* TOMODISTILL_DATA"):
        places.writable(tmp_path / "file/sets")


@pytest.mark.parametrize("inside", ["", "sets"])
def test_a_folder_of_another_user_is_named_with_the_remedy(as_another_user, inside):
    folder = as_another_user / inside
    with pytest.raises(InputError, match=f"{folder}: Permission denied.* TOMODISTILL_DATA"):
        places.writable(folder)


def test_simulate_says_so_before_a_run_is_opened(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TOMODISTILL_DATA", str(tmp_path / "file"))
    monkeypatch.setattr(simulate, "find_finished", lambda *_: None)
    monkeypatch.setattr(simulate, "phase_run", lambda *_, **__: pytest.fail("too late"))
    with pytest.raises(InputError, match="TOMODISTILL_DATA"):
        simulate.main(["--scale", "smoke"])


def test_the_data_folder_has_one_home():
    tops = ("src", "entrypoints", "serving", "tools")
    sources = [path for top in tops for path in (ROOT / top).rglob("*.py")]
    named = {
        path.name
        for path in sources
        if re.search(r"Path\(.data[/\"]|.data/(sets|models)", path.read_text())
    }
    assert named == {"places.py"}
