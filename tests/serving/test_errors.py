import gzip
import zlib
from dataclasses import replace

import pytest

from tests.serving.bodies import malformed, npy, volumes

LIMIT = 2**20  # bytes, of the fixture's configuration


def _refused(answer, status: int, naming: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"error"}
    assert naming in answer.json()["error"]


def test_every_malformed_body_is_refused_and_the_service_still_answers(client, tmp_path):
    good = npy(volumes(1))
    for name, (body, status, naming) in malformed(tmp_path).items():
        answer = client.post("/classify", content=body)
        assert answer.status_code == status, f"{name}: {answer.text}"
        _refused(answer, status, naming)
        assert client.post("/classify", content=good).status_code == 200, name


@pytest.mark.parametrize("encoding", ["zstd", "br", "identity, gzip"])
def test_oddly_encoded_body_is_refused(client, volume, encoding):
    answer = client.post("/classify", content=npy(volume), headers={"Content-Encoding": encoding})
    _refused(answer, 415, encoding)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_compressed_body_is_read_and_held_to_the_limit(client, volume, pack):
    encoded = {"Content-Encoding": "gzip" if pack is gzip.compress else "deflate"}
    good, bomb = pack(npy(volume)), pack(bytes(LIMIT + 1))
    assert client.post("/classify", content=good, headers=encoded).status_code == 200
    _refused(client.post("/classify", content=bomb, headers=encoded), 413, f"{LIMIT} bytes")
    _refused(client.post("/classify", content=b"plain", headers=encoded), 400, "compressed")


def test_declared_size_is_refused_before_the_body_is_read(client):
    def never():
        raise AssertionError("the body was read")
        yield b""

    headers = {"Content-Length": str(LIMIT + 1)}
    _refused(client.post("/classify", content=b"", headers=headers), 413, f"{LIMIT} bytes")


def test_size_is_counted_on_real_bytes(client):
    chunked = (bytes(2**18) for _ in range(5))  # no Content-Length
    _refused(client.post("/classify", content=chunked), 413, f"{LIMIT} bytes")


def test_body_of_exactly_the_limit_is_read(client):
    _refused(client.post("/classify", content=bytes(LIMIT)), 400, f"{LIMIT} bytes that are neither")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("POST", "/classify/", 404),
        ("GET", "/classify", 405),
        ("DELETE", "/model", 405),
    ],
)
def test_unknown_routes_and_methods_are_json(client, method, path, status):
    answer = client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


def test_a_bug_is_logged_and_answered_without_an_escaping_exception(app, client, caplog, volume):
    served = app.state.service.follower.current
    app.state.service.follower.current = replace(served, classifier=None)  # a bug
    answer = client.post("/classify", content=npy(volume))  # raises what escapes
    assert answer.status_code == 500
    assert answer.json() == {"error": "internal error; the service's log has it"}
    assert "POST /classify failed" in caplog.text
    assert "AttributeError" in caplog.text
