"""The clients that count, the traps, and both scripts from end to end."""

import importlib
import json
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.processes import free_port
from tests.versions import MANIFEST, random_volumes
from tomodistill.inference.version import MODEL, load_model, read_manifest

ROOT = Path(__file__).parents[2]
NAMES = MANIFEST.class_names
SAID = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])


@pytest.fixture
def script(monkeypatch):
    """A module of benchmarks/ by its name."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


@pytest.fixture
def clients(script):
    return script("serving_clients")


@pytest.fixture
def questions(clients):
    return clients.Questions(random_volumes(2), NAMES, {3: SAID, 4: SAID[:, ::-1]})


def answer(number: int, version: int = 3) -> bytes:
    by_class = dict(zip(NAMES, SAID[number].tolist(), strict=True))
    told = {"model": {"version": f"{version}"}, "predictions": [{"probabilities": by_class}]}
    return json.dumps(told).encode()


def test_answers_are_held_against_the_version_that_they_name(clients, questions):
    said = [
        questions.judge(0, 200, answer(0)),
        questions.judge(1, 200, answer(0)),  # another's
        questions.judge(0, 200, answer(0, version=4)),
        questions.judge(0, 200, answer(0, version=5)),  # nobody promoted it
        questions.judge(0, 200, b"<html>"),
        questions.judge(0, 503, b'{"error": "full"}'),
        questions.judge(0, 500, b"Internal Server Error"),
    ]
    right, wrong = clients.RIGHT, clients.WRONG
    assert [outcome for _, outcome in said] == [right, wrong, wrong, wrong, wrong, right, wrong]
    assert said[0] == (3, right)


class Scripted(BaseHTTPRequestHandler):
    """One sound answer, another's, none; then sound ones."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        number = int(body[-4:] == random_volumes(2)[1].tobytes()[-4:])
        turn, type(self).asked = self.asked, self.asked + 1
        self.close_connection = turn == 2
        if turn != 2:
            told = answer(1 - number if turn == 1 else number)
            self.send_response(200)
            self.send_header("Content-Length", f"{len(told)}")
            self.end_headers()
            self.wfile.write(told)

    def log_message(self, *_):
        pass


def test_every_request_has_one_outcome(clients, questions, tmp_path, script):
    wait_until, port = script("serving_processes").wait_until, free_port()
    with clients.asking(port, questions, clients=1, folder=tmp_path) as load:
        wait_until(lambda: len(load) > 0, "the first to find nobody")
        server = ThreadingHTTPServer(("127.0.0.1", port), Scripted)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        wait_until(lambda: Scripted.asked > 5, "more answers than are scripted")
    server.shutdown()
    thread.join()
    server.server_close()
    outcomes = load.records()["outcome"]
    met = outcomes[outcomes != clients.REFUSED]
    assert outcomes[0] == clients.REFUSED
    assert met[:5].tolist() == [clients.RIGHT, clients.WRONG, clients.LOST] + 2 * [clients.RIGHT]


def test_the_traps_are_live_and_their_digests_agree(script, version_folder, tmp_path, monkeypatch):
    versions, marker = script("serving_versions"), tmp_path / "ran"
    monkeypatch.setattr(versions, "_BOMB", 2**25)
    trapped = versions.with_lambda(version_folder, tmp_path / "lambda", marker)
    read_manifest(trapped)
    with pytest.raises(ValueError, match="Lambda"):
        load_model(trapped)
    assert not marker.exists()
    keras.saving.load_model(trapped / MODEL, safe_mode=False)
    assert marker.exists()
    bomb = versions.zip_bomb(version_folder, tmp_path / "bomb")
    read_manifest(bomb)
    with zipfile.ZipFile(bomb / MODEL) as archive:
        assert archive.getinfo("config.json").file_size == 2**25
    assert (bomb / MODEL).stat().st_size < 2**16


def records(clients, *rows: tuple[float, float, int, int, int]) -> np.ndarray:
    return np.array(list(rows), clients.RECORD)


def test_a_swap_lasts_a_second_longer_than_until_its_first_answer(script, clients):
    swaps = script("serving_swaps")
    found = swaps.summary(
        records(
            clients,
            (0.0, 0.010, 200, 1, clients.RIGHT),
            (9.5, 9.520, 200, 1, clients.RIGHT),
            (9.99, 10.02, 200, 1, clients.RIGHT),  # waited while it was promoted
            (11.9, 11.95, 200, 2, clients.RIGHT),
            (12.1, 12.12, 503, 0, clients.RIGHT),
            (12.2, 12.21, 0, 0, clients.LOST),
        ),
        [swaps.Swap(promoted=10.0, served=11.0)],
    )
    assert (found.requests, found.requests_in_swaps) == (6, 2)
    assert (found.lost, found.wrong, found.refused) == (1, 0, 1)
    assert found.p50_swap == pytest.approx(40)
    assert found.ratio == pytest.approx(49.8 / 20, rel=1e-3)
    assert not found.passed


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> list[Path]:
    """Two versions, for both scripts."""
    sys.path.insert(0, f"{ROOT / 'benchmarks'}")
    try:
        return importlib.import_module("serving_versions").sound(tmp_path_factory.mktemp("made"), 2)
    finally:
        sys.path.pop(0)


def test_swaps(script, made, monkeypatch, tmp_path):
    swaps = script("serving_swaps")
    monkeypatch.setattr(swaps, "MODELS", 2)
    monkeypatch.setattr(swaps, "sound", lambda *_: made)
    flags = ["--out", f"{tmp_path}", "--requests", "40", "--swaps", "1"]
    monkeypatch.setattr(sys, "argv", ["serving_swaps.py", *flags])
    swaps.main()
    found = json.loads((tmp_path / "swaps.json").read_text())
    assert found["requests"] >= 40
    assert [found[name] for name in ("swaps", "lost", "wrong", "refused")] == [1, 0, 0, 0]
    assert "| p99 steady (ms) |" in (tmp_path / "swaps.md").read_text()


def test_faults(script, made, monkeypatch, tmp_path):
    faults = script("serving_faults")
    monkeypatch.setattr(script("serving_stage"), "sound", lambda *_: made)
    monkeypatch.setattr(script("serving_versions"), "_BOMB", 2**25)
    flags = ["--out", f"{tmp_path}", "--times", "1", "--only", "wrong digest", "clients vanish"]
    monkeypatch.setattr(sys, "argv", ["serving_faults.py", *flags])
    with pytest.raises(SystemExit) as ended:
        faults.main()
    found = json.loads((tmp_path / "faults.json").read_text())["faults"]
    assert [(of["fault"], of["times"], of["problems"]) for of in found] == [
        ("wrong digest", 1, []),
        ("clients vanish", 1, []),
    ]
    assert all(of["answers"].keys() == {"200"} and not of["lost"] for of in found)
    assert ended.value.code == 0
