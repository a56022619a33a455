"""Every request gets an id, is counted, and logged if it is worth a line."""

import logging
import random
import re
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.logs import Budget, request_id
from serving.metrics import Metrics

_log = logging.getLogger(__name__)
_HEADER = b"x-request-id"
_SANE_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_SLOW = 1.0  # seconds
_LINES = 100  # a second: of successes, and as many of all others
_LONGEST_PATH = 200  # characters
_PROBES = ("/health/", "/v2/health/", "/ping", "/metrics")
_LEFT = 499  # nobody was there to be answered; the number is nginx's


def facts(scope: Scope) -> dict[str, Any]:
    """What is known of a request; whoever handles it adds to it."""
    found: dict[str, Any] = scope.setdefault("facts", {})
    return found


class Observed:
    """The outermost layer of the application.

    With `all_requests` successes are logged too, without them only errors and what was slow.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, all_requests: bool) -> None:
        self.app = app
        self._metrics, self._all = metrics, all_requests
        self._successes, self._others = Budget(_LINES), Budget(_LINES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI; other things than HTTP pass."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, started = _LEFT, time.monotonic()
        own_id = _id_of(scope)
        request_id.set(own_id.decode())

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (_HEADER, own_id)]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            self._count(scope, status, time.monotonic() - started)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        method, route = scope["method"], getattr(scope.get("route"), "path", "none")
        self._metrics.answered(method=method, route=route, status=status, seconds=seconds)
        success = status < 400
        if success and (route.startswith(_PROBES) or not (self._all or seconds > _SLOW)):
            return
        unlogged = (self._successes if success else self._others).take()
        if unlogged is not None:
            _write(scope, route, status, seconds, unlogged)


def _id_of(scope: Scope) -> bytes:
    """The client's own, if it is a sane one."""
    for name, value in scope["headers"]:
        if name == _HEADER and _SANE_ID.fullmatch(value):
            return bytes(value)
    return b"%016x" % random.getrandbits(64)


def _write(scope: Scope, route: str, status: int, seconds: float, unlogged: int) -> None:
    method, path = scope["method"], scope["path"][:_LONGEST_PATH]
    known = {
        "method": method,
        "path": path,
        "route": route,
        "status": status,
        "seconds": round(seconds, 4),
        "client": (scope.get("client") or ("unknown",))[0],
        **facts(scope),
    }
    if unlogged:
        known["unlogged"] = unlogged
    level = logging.WARNING if status >= 500 else logging.INFO
    _log.log(level, "request", extra={"facts": known})
