import logging
from pathlib import Path

import pytest

from serving.access import warn_if_open
from serving.app import create_app
from serving.config import ServiceConfig
from tests.serving.bodies import npy
from tests.serving.conftest import TestClient
from tomodistill.errors import InputError

USER, ADMIN = "a-token-for-everyone", "a-token-for-the-admin"


@pytest.fixture
def guarded(registry, tmp_path):
    """Makes a client of a service with this configuration; files hold one token each."""

    def make(**config: str) -> TestClient:
        for flag, token in (("tokens", USER), ("admin_tokens", ADMIN)):
            path = tmp_path / flag
            path.write_text(token)
            path.chmod(0o600)
            config |= {flag: str(path)} if config.get(flag) == "file" else {}
        app = create_app(
            ServiceConfig(**config), resolve=registry.resolve, download=registry.download
        )
        return TestClient(app)

    return make


def bearer(token: str, scheme: str = "Bearer") -> dict[str, str]:
    return {"Authorization": f"{scheme} {token}"}


def unread():
    raise AssertionError("the body was read")
    yield b""


def refused(answer, status: int, naming: str) -> None:
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}
    assert naming in answer.json()["error"]


def admitted(answer) -> bool:
    """By the guard; there is no model behind it."""
    return answer.status_code in (200, 404, 405, 503)


def test_without_tokens_everyone_on_this_machine_may_ask(guarded):
    client = guarded()
    for path in ("/", "/model", "/metrics"):
        assert admitted(client.get(path))
    assert admitted(client.post("/reload"))


@pytest.mark.parametrize("headers", [{}, bearer("another-token-at-all"), bearer(USER, "Basic")])
def test_whoever_has_no_token_is_refused_before_the_body_is_read(guarded, headers):
    client = guarded(tokens="file")
    for path in ("/classify", "/invocations", "/v2/models/m/infer", "/nothing"):
        answer = client.post(path, content=unread(), headers=headers)
        refused(answer, 401, "Authorization: Bearer")
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="tomodistill"'
    for path in ("/", "/model", "/metrics", "/health", "/docs2", "//health/live"):
        refused(client.get(path, headers=headers), 401, "a token")


def test_probes_and_the_page_need_no_token(guarded):
    client = guarded(tokens="file", admin_tokens="file")
    for path in ("/health/live", "/health/ready", "/v2/health/live", "/ping", "/docs"):
        assert admitted(client.get(path)), path
    assert client.get("/openapi.json").status_code == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
def test_any_of_the_tokens_admits(guarded, scheme):
    client = guarded(tokens="file", admin_tokens="file")
    for token in (USER, ADMIN):
        assert client.get("/", headers=bearer(token, scheme)).status_code == 200


def test_administration_has_tokens_of_its_own(guarded):
    client = guarded(tokens="file", admin_tokens="file")
    assert admitted(client.post("/reload", headers=bearer(ADMIN)))
    for headers in ({}, bearer(USER)):
        refused(client.post("/reload", headers=headers), 401, "an administrator's token")
    open_to_users = guarded(admin_tokens="file")
    assert open_to_users.get("/").status_code == 200
    refused(open_to_users.post("/reload"), 401, "an administrator's token")


@pytest.mark.parametrize(
    "config", [{"tokens": "file"}, {"host": "0.0.0.0"}, {"hosts": "127.0.0.1"}]
)
def test_without_its_tokens_administration_is_for_a_private_service_alone(guarded, config):
    answer = guarded(**config).post("/reload", headers=bearer(USER))
    refused(answer, 403, "admin_tokens=FILE")


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8000",
        "127.0.0.1:8000",
        "127.0.0.1",
        "[::1]:8000",
        "[::1]",
        "10.1.2.3",
    ],
)
def test_the_names_of_this_machine_are_known(guarded, host):
    assert guarded().get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example@localhost",
        "localhost:80:80",
        "localhost/",
        "[evil.example]",
        "::1",
        "2130706433",
        "",
    ],
)
def test_any_other_name_is_refused(guarded, host):
    refused(guarded().get("/health/live", headers={"Host": host}), 400, f"found {host!r}")


@pytest.mark.parametrize(
    "hosts", ["http://lab.example", "lab.example:8000", "a.example,,b", "ü.example"]
)
def test_a_name_that_can_never_be_called_is_refused(guarded, hosts):
    with pytest.raises(InputError, match="hosts: names without scheme or port"):
        guarded(hosts=hosts)


def test_names_can_be_given(guarded):
    client = guarded(hosts="Lab.example, gpu1")
    for host, status in (("lab.example", 200), ("GPU1:80", 200), ("localhost", 400)):
        assert client.get("/", headers={"Host": host}).status_code == status
    assert guarded(hosts="*").get("/", headers={"Host": "any.example"}).status_code == 200
    assert guarded(host="gpu7").get("/", headers={"Host": "gpu7:8000"}).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:8000", 200),
        ("https://127.0.0.1:8000", 200),
        ("http://127.0.0.1:9000", 403),
        ("https://evil.example", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_pages_of_other_sites_cannot_ask(client, volume, origin, status):
    answer = client.post("/classify", content=npy(volume), headers={"Origin": origin})
    assert answer.status_code == status
    if status == 403:
        refused(answer, 403, "a page of another site")


def test_a_poor_file_of_tokens_stops_the_start(guarded, tmp_path):
    path = Path(tmp_path / "readable")
    path.write_text(USER)
    path.chmod(0o644)
    with pytest.raises(InputError, match=r"admin_tokens: .*chmod 600"):
        guarded(admin_tokens=str(path))


@pytest.mark.parametrize(
    ("config", "warned"),
    [
        ({}, False),
        ({"host": "::1"}, False),
        ({"host": "0.0.0.0"}, True),
        ({"host": "gpu7"}, True),
        ({"host": "0.0.0.0", "tokens": "file"}, False),
    ],
)
def test_a_service_open_to_the_network_is_warned_of(config, warned, caplog):
    caplog.set_level(logging.WARNING)
    warn_if_open(ServiceConfig(**config))
    assert ("WHOEVER REACHES" in caplog.text) == warned
