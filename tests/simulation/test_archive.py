import gzip
import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request

import pytest

from tests.simulation.structure_files import GOOD, dimer, mmcif
from tomodistill.errors import InputError
from tomodistill.simulation import archive, structures


class Server(ThreadingHTTPServer):
    """Answers with `answers` in turn, the last one for ever; `asked` lists the paths."""

    answers: list
    asked: list


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        code, body = answer if isinstance(answer, tuple) else (200, answer)
        self.send_response(code)
        self.send_header("Content-Length", str(len(GOOD) if code == 206 else len(body)))
        if 300 <= code < 400:
            self.send_header("Location", body.decode())
        self.end_headers()
        self.wfile.write(body[: len(body) // 2])
        if code == 202:  # never goes on
            time.sleep(1.0)
        self.wfile.write(body[len(body) // 2 :])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    with Server(("127.0.0.1", 0), Handler) as running:
        running.asked, running.answers = [], [GOOD]
        running.handle_error = lambda *_: None  # clients that gave up
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        address = f"http://127.0.0.1:{running.server_port}/files/"
        monkeypatch.setenv("TOMODISTILL_PDB_MIRROR", address)
        monkeypatch.setattr(archive, "PAUSES", (0.0, 0.0))
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


def fetch(cache, entry="1abc"):
    return archive.entry_file(entry, cache=cache)


def test_an_entry_is_fetched_once_with_its_checksum_beside_it(server, tmp_path):
    cache = tmp_path / "not" / "yet"
    path = fetch(cache)
    assert path == cache / "1abc.cif.gz"
    assert path.read_bytes() == GOOD
    line = f"{hashlib.sha256(GOOD).hexdigest()}  1abc.cif.gz\n"
    assert (cache / "1abc.cif.gz.sha256").read_text() == line
    assert fetch(cache) == path
    assert server.asked == ["/files/1abc.cif.gz"]
    assert {file.name for file in cache.iterdir()} == {"1abc.cif.gz", "1abc.cif.gz.sha256"}


@pytest.mark.parametrize("damage", [GOOD[:-1], b"", bytes([*GOOD[:50], 0, *GOOD[51:]])])
def test_a_file_that_changed_is_fetched_again(server, tmp_path, damage):
    fetch(tmp_path).write_bytes(damage)
    assert fetch(tmp_path).read_bytes() == GOOD
    assert len(server.asked) == 2
    assert fetch(tmp_path).read_bytes() == GOOD
    assert len(server.asked) == 2


def test_a_checksum_that_is_damaged_or_lost(server, tmp_path):
    digest = fetch(tmp_path).with_name("1abc.cif.gz.sha256")
    whole = digest.read_bytes()
    digest.unlink()  # the file itself proves whole
    fetch(tmp_path)
    assert digest.read_bytes() == whole
    assert len(server.asked) == 1
    digest.write_bytes(b"\xff\x00")
    fetch(tmp_path)
    assert digest.read_bytes() == whole
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "passing",
    [
        (500, b"sorry"),
        (503, b""),
        (429, b"too many"),
        (206, GOOD[:-300]),  # announced whole, and cut
        (202, GOOD),  # silent half-way
        GOOD[:-300],
        b"<html>200 and no file</html>",
        gzip.compress(b"no mmCIF", mtime=0),
        gzip.compress(mmcif(dimer("2XYZ")), mtime=0),
        gzip.compress(b"data_1ABC\n_entry.id 1ABC\n", mtime=0),
    ],
)
def test_what_may_go_away_is_tried_again(server, tmp_path, passing, monkeypatch):
    monkeypatch.setattr(archive, "TIMEOUT", 0.3)
    server.answers = [passing, GOOD]
    assert fetch(tmp_path).read_bytes() == GOOD
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((500, b"sorry"), "the archive answers HTTP 500"),
        ((206, GOOD[:-300]), "cut short by 300 bytes"),
        ((202, GOOD), "no answer in time"),
        (GOOD[:-300], "damaged file"),
        (b"<html></html>", "damaged file .*gzip"),
        (gzip.compress(mmcif(dimer("2XYZ")), mtime=0), r"another entry \(2XYZ\)"),
        (gzip.compress(b"data_1ABC\n_entry.id 1ABC\n", mtime=0), "an entry without atoms"),
    ],
)
def test_what_stays_is_told_and_leaves_nothing(server, tmp_path, answer, reason, monkeypatch):
    monkeypatch.setattr(archive, "TIMEOUT", 0.2)
    server.answers = [answer]
    with pytest.raises(InputError, match=rf"{reason}.*\(3 attempts\).*not there") as told:
        fetch(tmp_path)
    assert f"put 1abc.cif.gz into {tmp_path}" in told.value.todo
    assert len(server.asked) == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [404, 410])
def test_an_unknown_entry_is_asked_for_once(server, tmp_path, code):
    server.answers = [(code, b"none")]
    with pytest.raises(InputError, match=rf"'9zzz': no such entry .*HTTP {code}"):
        fetch(tmp_path, "9zzz")
    assert server.asked == ["/files/9zzz.cif.gz"]


def test_a_server_that_lets_no_one_in(server, tmp_path):
    server.answers = [(403, b"no")]
    with pytest.raises(InputError, match=r"found HTTP 403.*TOMODISTILL_PDB_MIRROR") as told:
        fetch(tmp_path)
    assert "unset it" in told.value.todo
    assert len(server.asked) == 1


def test_the_archive_itself_is_nothing_to_unset(server, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "ARCHIVE", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("TOMODISTILL_PDB_MIRROR")
    server.answers = [(403, b"no")]
    with pytest.raises(InputError, match="found HTTP 403") as told:
        fetch(tmp_path)
    assert "unset" not in told.value.todo.lower()


def test_a_redirect_is_followed(server, tmp_path):
    server.answers = [(302, b"/elsewhere/1abc.cif.gz"), GOOD]
    assert fetch(tmp_path).read_bytes() == GOOD
    assert server.asked == ["/files/1abc.cif.gz", "/elsewhere/1abc.cif.gz"]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "target", ["ftp://127.0.0.1/a", "file:///etc/hosts", "http://[bad", "http://a..b/c"]
)
def test_a_redirect_to_what_is_no_web_address_is_named(server, tmp_path, code, target):
    server.answers = [(code, target.encode())]
    with pytest.raises(InputError) as told:
        fetch(tmp_path)
    assert told.value.found == f"HTTP {code}, a redirect to {target} that is not followed"
    assert len(server.asked) == 1


def test_a_circle_of_redirects_ends(server, tmp_path):
    server.answers = [(302, b"/files/1abc.cif.gz")]
    with pytest.raises(InputError, match=r"HTTP 302, a redirect to /files/1abc\.cif\.gz"):
        fetch(tmp_path)
    assert len(server.asked) < 20


@pytest.mark.parametrize("target", ["http://b.org/a", "ftp://b.org/a", "//[bad", "HTTP://b.org"])
def test_https_is_never_left(target):
    request, headers = Request("https://a.org/a"), {"Location": target}
    assert archive._Redirects().http_error_302(request, None, 302, "Found", headers) is None


def test_more_than_any_entry_is_not_taken(server, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "LARGEST", len(GOOD) - 1)
    with pytest.raises(InputError, match=rf"at most {len(GOOD) - 1} bytes"):
        fetch(tmp_path)
    assert len(server.asked) == 1
    assert list(tmp_path.iterdir()) == []


def test_what_unpacks_to_more_than_any_entry_is_not_taken(server, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "LARGEST_UNPACKED", 2**21)
    server.answers = [gzip.compress(bytes(2**25))]
    with pytest.raises(InputError, match=f"at most {2**21} bytes in the unpacked file of 1abc"):
        fetch(tmp_path)
    assert len(server.asked) == 1
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_entry_is_told_before_any_is_read(server, tmp_path, monkeypatch):
    monkeypatch.setattr(structures, "read_model", lambda *_: pytest.fail("read too early"))
    server.answers = [GOOD, (404, b"none")]
    with pytest.raises(InputError, match="'9zzz': no such entry"):
        structures.load_structures(
            "pdb:1ABC,9ZZZ", classes="all", voxel_spacing=10.0, cache=tmp_path
        )
    assert server.asked == ["/files/1abc.cif.gz", "/files/9zzz.cif.gz"]


def test_a_drip_is_not_waited_for(server, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "LONGEST", -1.0)
    with pytest.raises(InputError, match="within -1 s"):
        fetch(tmp_path)


def test_attempts_are_apart(server, tmp_path, monkeypatch):
    slept = []
    monkeypatch.setattr(archive, "PAUSES", (1.0, 4.0))
    monkeypatch.setattr(archive.time, "sleep", slept.append)
    server.answers = [(503, b"")]
    with pytest.raises(InputError, match="HTTP 503"):
        fetch(tmp_path)
    assert slept == [0.0, 1.0, 4.0]


def test_a_cache_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/pdb.*TOMODISTILL_DATA"):
        fetch(tmp_path / "file" / "pdb")
    assert server.asked == []
