"""What the benchmarks of the service count, on loopback and by hand."""

import asyncio
import importlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.processes import PATIENCE, ROOT, environment
from tests.versions import PASSED, random_volumes, write_openvino_version


@pytest.fixture
def script(monkeypatch):
    """A module of benchmarks/ by its name."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


@pytest.fixture
def http(script):
    return script("serving_http")


def answers_of(http, served: list[bytes], ask) -> list:
    """What clients make of a server that gives these answers, one a request; "" = it hangs up."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            length = 0
            while (line := await reader.readline()) != b"\r\n":
                name, value = line.lower().split(b": ")
                length = int(value) if name == b"content-length" else length
            await reader.readexactly(length)
            answer = served.pop(0) if len(served) > 1 else served[0]
            for start in range(0, len(answer), 7):
                writer.write(answer[start : start + 7])
                await writer.drain()
            if not answer or b"close" in answer:
                break
        writer.close()

    async def main() -> list:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        async with server:
            return await ask(server.sockets[0].getsockname()[1])

    return http.run(main())


def answer(status: int, body: bytes, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d x\r\n%scontent-length: %d\r\n\r\n%s" % (status, more, len(body), body)


def test_every_request_has_one_record_whatever_the_server_does(http):
    served = [
        answer(200, b"one"),
        answer(429, b"full", b"Connection: close\r\n"),
        b"",
        answer(200, b"two") + answer(200, b"nobody asked for this"),
        answer(200, b"last"),
    ]
    requests = [http.post("/a", b"x" * 10, "text/plain"), http.post("/b", b"", "text/plain")]

    async def ask(port: int) -> list:
        return await http.open_loop(port, requests, rate=20, seconds=0.3)

    got = answers_of(http, served, ask)
    assert [of.which for of in got] == [0, 1, 0, 1, 0, 1]
    assert [of.status for of in got] == [200, 429, http.BROKEN, 200, http.BROKEN, 200]
    assert [of.body for of in got] == [b"one", b"full", b"", b"two", b"", b"last"]


def test_clients_in_a_closed_loop_keep_their_pace(http):
    async def ask(port: int) -> list:
        return await http.closed_loop(port, [b"x\r\n\r\n"], clients=2, seconds=0.42, interval=0.1)

    got = answers_of(http, [answer(200, b"")], ask)
    assert 2 < len(got) <= 9  # fewer on a busy machine
    assert {of.status for of in got} == {200}


def asked(http, started: float, finished: float, status: int = 200):
    return http.Answer(0, started, started, finished, status, None)


def test_a_rate_lasts_until_the_last_answer(http, script):
    rate = script("serving_turns").rate
    assert rate([asked(http, of / 10, (of + 1) / 10) for of in range(100)]) == pytest.approx(10)
    assert rate([asked(http, 1.0, 40.0 + of / 31) for of in range(32)]) == pytest.approx(32 / 40)
    assert rate([]) == 0


def test_bodies_hold_the_volumes_and_answers_are_compared(http, script):
    protocols = script("serving_protocols")
    volumes = random_volumes(2, box=4)
    as_json = json.loads(protocols.MLFLOW_JSON.write(volumes))["inputs"]
    np.testing.assert_array_equal(np.float32(as_json), volumes)
    column = pd.read_parquet(io.BytesIO(protocols.MLFLOW_PARQUET.write(volumes)))["0"]
    np.testing.assert_array_equal(np.stack(column).reshape(volumes.shape), volumes)
    expected = np.float32([[0.25, 0.75]])
    outputs = [{"name": n, "shape": [1, 2], "parameters": {"binary_data_size": 8}} for n in "xp"]
    outputs[1]["name"] = "probabilities"
    body = json.dumps({"outputs": outputs}).encode() + bytes(8) + expected.tobytes()
    said = http.Answer(0, 0, 0, 1, 200, body)
    protocols.OURS_OIP.check([said], [expected])
    with pytest.raises(RuntimeError, match="no classifier"):
        protocols.OURS_OIP.check([said], [expected[:, ::-1]])


def test_ratios_are_formed_within_a_round_to_the_best_of_others(script, tmp_path):
    turns, tables = script("serving_turns"), script("serving_tables")

    def measured() -> Iterator:
        for number, speed in enumerate((1.0, 3.0)):
            rates = {"ours, /classify": 200, "LitServe a": 40, "LitServe b": 50, "MLflow, JSON": 2}
            rates["bare classifier, flat out"] = 250
            for server, rate in rates.items():
                yield turns.Turn(number, server, 32, 1, rate * speed, 0.01, 0.02)

    (tmp_path / "turns.jsonl").write_text("".join(of.line() for of in measured()))
    about = {"command": "c", "machine": "m", "cores": 2, "versions": {}, "seed": 0}
    about |= {"student": "f2", "box": 40, "classes": 23, "engine": "openvino"}
    (tmp_path / "about.json").write_text(json.dumps(about))
    text = tables.write_tables(tmp_path)
    assert "| 32 | 1 | 400 | 80 | 100 | 4 | 4 (4 to 4) | 100 (100 to 100) |" in text
    assert "| bare classifier, flat out | 500 | – | 0.80 (0.80 to 0.80) | – |" in text
    assert "| 32 | 1 | 10.0 | 20.0 |" in text


def test_what_a_load_did_is_summed_up(http, script):
    load = script("serving_load")
    got = [asked(http, 0, 0.5), asked(http, 1, 9), asked(http, 1, 1.002, 429), asked(http, 1, 2, 0)]
    told = load.summary(got, 4.0)
    assert told["answers"] == {"0": 1, "200": 2, "429": 1}
    assert told["goodput"] == 0.25  # the other came after the end
    assert told["refused"]["max"] == pytest.approx(2)
    seconds = np.arange(0.0, 300.0)
    grown = script("serving_load_tables").slope(seconds, np.where(seconds > 60, 100 + seconds, 0))
    assert grown == pytest.approx((60, 60, 60))


def test_the_whole_script(tmp_path: Path) -> None:
    version = write_openvino_version(tmp_path / "version", seed=0, float32=PASSED)
    flags = f"--out {tmp_path} --version {version} --clients 1,2 --batches 1,3 --seconds 0.3"
    command = [sys.executable, str(ROOT / "benchmarks" / "serving.py"), *flags.split()]
    command += ["--rounds", "1", "--without-mlflow"]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "turns.jsonl").read_text().splitlines()
    assert len(lines) == 4 * 3 + 2 * 2 * 2
    assert all(json.loads(line)["rate"] > 0 and not json.loads(line)["failed"] for line in lines)
    assert str(tmp_path) not in (tmp_path / "tables.md").read_text()
