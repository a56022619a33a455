"""An application that reads bodies and throws them away: what HTTP alone costs.

uvicorn serving_discard:app
"""

from typing import Any

_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"2")],
}
_BODY = {"type": "http.response.body", "body": b"{}"}


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """{} to everybody."""
    assert scope["type"] == "http"  # uvicorn is told that nothing happens at its start
    while (await receive()).get("more_body"):
        pass
    await send(_START)
    await send(_BODY)
