"""Headers of every answer, by which browsers refuse whatever the service does not need."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PAGE = "/docs"


def _headers(*, policy: str, cache: str) -> list[tuple[bytes, bytes]]:
    nothing = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    values = {
        "content-security-policy": nothing + policy,
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": cache,
    }
    return [(name.encode(), value.encode()) for name, value in values.items()]


_OF_ANSWERS = _headers(policy="", cache="no-store")
_OF_PAGE = _headers(
    policy="; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'",
    cache="no-cache",  # the browser asks whether its copy still holds
)


class SecurityHeaders:
    """Adds them, also to errors."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI; other things than HTTP pass."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        own = _OF_PAGE if scope["path"].startswith(_PAGE) else _OF_ANSWERS

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *own]
            await send(message)

        await self.app(scope, receive, with_headers)
