"""Who may ask: tokens, the names the service is called by, and pages of other sites.

Every refusal comes before a byte of the body is read.
"""

import ipaddress
import logging
import re
import socket
from collections.abc import Iterable
from functools import lru_cache, partial

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.config import ServiceConfig
from serving.tokens import Tokens
from tomodistill.errors import InputError
from tomodistill.scales import AUTO

# Probes and the page have no token to give; the page says no more than the source does.
_OPEN = frozenset({"/ping", "/docs", "/openapi.json"})
_OPEN_BELOW = ("/health/", "/v2/health/", "/docs/")
_ADMINISTRATION = frozenset({"/reload"})

_ANY = "*"
_NAME = rb"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)"
_HOST = re.compile(_NAME + rb"(?::[0-9]{1,5})?", re.IGNORECASE)
_LONGEST_FOUND = 100  # characters of a header that an error repeats

_log = logging.getLogger(__name__)


def add_guard(app: FastAPI, config: ServiceConfig) -> None:
    """Let `app` answer only whom `config` admits. Raises InputError for poor tokens or hosts."""
    tokens = {name: Tokens(path, flag=name) for name, path in config.token_files.items()}
    app.add_middleware(
        _Guard,
        names=_names(config),
        tokens=tokens.get("tokens"),
        admin_tokens=tokens.get("admin_tokens"),
        private=_private(config),
    )


def warn_if_open(config: ServiceConfig) -> None:
    """Say loudly that whoever reaches the service may use it."""
    if not (_is_loopback(config.host) or "tokens" in config.token_files):
        _log.warning(
            "%s is reached from other machines and no tokens are set: WHOEVER REACHES THE SERVICE "
            "MAY USE IT. Set tokens=FILE, or host=127.0.0.1 behind a proxy that asks for a login.",
            config.host,
        )


def is_open(path: str) -> bool:
    """Whether `path` needs no token."""
    return path in _OPEN or path.startswith(_OPEN_BELOW)


def _names(config: ServiceConfig) -> frozenset[str] | None:
    """What the service may be called besides its addresses; None: anything."""
    if config.hosts == _ANY:
        return None
    if config.hosts == AUTO:
        return frozenset({"localhost", config.host.lower(), socket.gethostname().lower()})
    names = frozenset(name.strip().lower() for name in config.hosts.split(","))
    for name in names:
        if not re.fullmatch(_NAME, name.encode()):
            raise InputError(
                expected='hosts: names without scheme or port, as "lab.example,gpu1"',
                found=repr(name),
                todo="Change hosts=.",
            )
    return names


def _private(config: ServiceConfig) -> bool:
    """Nothing tells users from administrators, and nobody but this machine is there."""
    alone = _is_loopback(config.host) and config.hosts == AUTO
    return alone and "tokens" not in config.token_files


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _trusted(names: frozenset[str], host: bytes) -> bool:
    """Whether a Host header is one of `names`, or an address.

    A page that makes its own name point here (DNS rebinding) calls us by that name, never by an
    address.
    """
    if not (match := _HOST.fullmatch(host)):
        return False
    name = match[1].decode().lower()
    return name in names or _is_address(name.strip("[]"))


class _Guard:
    """Passes a request on, or answers 400, 401 or 403 itself."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        names: frozenset[str] | None,
        tokens: Tokens | None,
        admin_tokens: Tokens | None,
        private: bool,
    ) -> None:
        self._app = app
        self._any = names is None
        self._trusted = lru_cache(maxsize=256)(partial(_trusted, names or frozenset()))
        self._tokens, self._admin_tokens, self._private = tokens, admin_tokens, private

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._refusal(scope) if scope["type"] == "http" else None
        await (answer or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        # Two are none: whatever stands before the service may have gone by the other.
        host = b", ".join(value for name, value in scope["headers"] if name == b"host")
        if not (self._any or self._trusted(host)):
            return _refused(
                400, "a Host that the service is known by (hosts=NAME,NAME)", _shown(host)
            )
        origin = headers.get(b"origin")
        if origin is not None and origin.partition(b"://")[2].lower() != host.lower():
            return _refused(
                403, "no request from a page of another site", f"Origin {_shown(origin)}"
            )
        authorization = headers.get(b"authorization")
        if scope["path"] in _ADMINISTRATION:
            return self._not_for_administrators(authorization)
        return None if is_open(scope["path"]) else self._not_for_users(authorization)

    def _not_for_administrators(self, authorization: bytes | None) -> JSONResponse | None:
        if self._admin_tokens is not None:
            return _unauthorised("an administrator's token", [self._admin_tokens], authorization)
        if self._private:
            return None
        return _refused(403, "a service with admin_tokens=FILE", "one that none may administer")

    def _not_for_users(self, authorization: bytes | None) -> JSONResponse | None:
        if self._tokens is None:
            return None
        accepted = [held for held in (self._tokens, self._admin_tokens) if held]
        return _unauthorised("a token", accepted, authorization)


def _unauthorised(
    kind: str, accepted: Iterable[Tokens], authorization: bytes | None
) -> JSONResponse | None:
    """The refusal, unless the header holds one of the `accepted` tokens."""
    scheme, _, token = (authorization or b"").partition(b" ")
    if scheme.lower() == b"bearer" and any(held.hold(token.strip()) for held in accepted):
        return None
    return _refused(
        401,
        f"{kind} in the header Authorization: Bearer TOKEN",
        "none" if authorization is None else "one that is not known",
        {"WWW-Authenticate": 'Bearer realm="tomodistill"'},
    )


def _shown(header: bytes) -> str:
    return repr(header.decode("latin-1")[:_LONGEST_FOUND])


def _refused(
    status: int, expected: str, found: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    return JSONResponse({"error": f"expected {expected}; found {found}"}, status, headers)
