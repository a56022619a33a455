import os
import re
import shutil
import tempfile
import threading
from pathlib import Path

import pytest

from entrypoints import simulate
from serving.config import ServiceConfig
from tests.processes import wait_for
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
    assert places.structures_cache() == Path("/somewhere/pdb")
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


def test_simulate_says_so_before_anything_is_simulated(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TOMODISTILL_DATA", str(tmp_path / "file"))
    monkeypatch.setattr(simulate, "ensure", lambda *_, make, **__: make())
    monkeypatch.setattr(simulate, "log_config", lambda **_: pytest.fail("too late"))
    with pytest.raises(InputError, match="TOMODISTILL_DATA"):
        simulate.main(["--scale", "smoke"])


def test_the_data_folder_has_one_home():
    tops = ("src", "entrypoints", "serving", "tools")
    sources = [path for top in tops for path in (ROOT / top).rglob("*.py")]
    named = {
        path.name
        for path in sources
        if re.search(r"Path\(.data[/\"]|.data/(sets|models|pdb)", path.read_text())
    }
    assert named == {"places.py"}


def test_one_at_a_time_waits_and_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TOMODISTILL_DATA", str(tmp_path))
    order = []

    def second():
        with places.one_at_a_time("teacher-1", "waiting for the teacher"):
            order.append("second")

    thread = threading.Thread(target=second)
    with places.one_at_a_time("teacher-1", "never said"):
        thread.start()
        wait_for(lambda: "waiting for the teacher" in capsys.readouterr().out, seconds=20)
        with places.one_at_a_time("teacher-2", "never said"):  # another phase need not wait
            order.append("first")
    thread.join(timeout=20)
    assert order == ["first", "second"]


def test_where_nothing_can_be_locked_work_goes_on(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TOMODISTILL_DATA", str(tmp_path / "file"))
    with places.one_at_a_time("teacher-1", "never said"):
        pass
    assert not (tmp_path / "file").is_dir()
