"""The archive without a network, and what stands before any: ids and addresses."""

import hashlib
import socket

import pytest

from tests.simulation.structure_files import GOOD
from tomodistill.errors import InputError
from tomodistill.simulation import archive


def fetch(cache, entry="1abc"):
    return archive.entry_file(entry, cache=cache)


@pytest.fixture
def offline(monkeypatch):
    """An address where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("TOMODISTILL_PDB_MIRROR", f"http://127.0.0.1:{port}")
    monkeypatch.setattr(archive, "PAUSES", (0.0,))


@pytest.mark.usefixtures("offline")
def test_offline_the_message_says_what_to_do(tmp_path):
    with pytest.raises(InputError) as told:
        fetch(tmp_path)
    assert "the archive cannot be reached" in told.value.found
    assert "Connection refused" in told.value.found
    assert f"put 1abc.cif.gz into {tmp_path} (and remove" in told.value.todo
    assert "or give structures=FOLDER" in told.value.todo


@pytest.mark.usefixtures("offline")
def test_offline_a_damaged_file_is_replaced_as_the_message_says(tmp_path):
    path, digest = tmp_path / "1abc.cif.gz", tmp_path / "1abc.cif.gz.sha256"
    digest.write_text(f"{'0' * 64}  1abc.cif.gz\n")
    path.write_bytes(GOOD)
    with pytest.raises(InputError, match="changed since it was fetched") as told:
        fetch(tmp_path)
    assert f"into {tmp_path} (and remove {digest.name} there" in told.value.todo
    digest.unlink()
    assert fetch(tmp_path) == path
    assert digest.read_text().startswith(hashlib.sha256(GOOD).hexdigest())


@pytest.mark.parametrize("address", ["http://[bad", "http://a..b", "http://a:port"])
def test_a_mirror_that_no_server_can_have(tmp_path, monkeypatch, address):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("TOMODISTILL_PDB_MIRROR", address)
    monkeypatch.setattr(archive, "PAUSES", ())
    with pytest.raises(InputError, match="TOMODISTILL_PDB_MIRROR"):
        fetch(tmp_path)


@pytest.mark.usefixtures("offline")
def test_offline_a_file_put_there_by_hand_is_taken(tmp_path):
    (tmp_path / "1abc.cif.gz").write_bytes(GOOD)
    assert fetch(tmp_path).read_bytes() == GOOD
    (tmp_path / "2xyz.cif.gz").write_bytes(GOOD)
    with pytest.raises(InputError, match=r"cannot be reached.*the file: another entry \(1ABC\)"):
        fetch(tmp_path, "2xyz")
    assert (tmp_path / "2xyz.cif.gz").read_bytes() == GOOD  # what a user put there stays


@pytest.mark.parametrize("text", ["1KP8", " 1kp8 ", "pdb_00001kp8", "PDB_00001KP8"])
def test_ways_to_write_an_id(text):
    assert archive.entry_id(text) == "1kp8"


def test_an_id_of_the_longer_kind():
    assert archive.entry_id("PDB_1000A0B1") == "pdb_1000a0b1"


@pytest.mark.parametrize(
    "text", ["", "1kp", "1kp88", "0abc", "akp8", "1k/8", "1k.8", "../1kp8", "pdb_1kp8", "1kp\u00b2"]
)
def test_what_is_no_id(text):
    with pytest.raises(InputError, match="ids of PDB entries"):
        archive.entry_id(text)


@pytest.mark.parametrize("address", ["ftp://somewhere", "/a/folder", "somewhere.org"])
def test_a_mirror_that_is_no_address(tmp_path, monkeypatch, address):
    monkeypatch.setenv("TOMODISTILL_PDB_MIRROR", address)
    with pytest.raises(InputError, match=f"TOMODISTILL_PDB_MIRROR; found {address}"):
        fetch(tmp_path)


@pytest.mark.parametrize("named", [None, ""])
def test_without_a_mirror_it_is_the_archive(monkeypatch, named):
    monkeypatch.delenv("TOMODISTILL_PDB_MIRROR", raising=False)
    if named is not None:
        monkeypatch.setenv("TOMODISTILL_PDB_MIRROR", named)
    assert archive.address() == archive.ARCHIVE
