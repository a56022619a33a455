"""Requests as a server hands them to the application, without the server."""

import asyncio
import json
from typing import Any

Message = dict[str, Any]


class Request:
    """POST /classify as a server hands it to the application; `leave` is the client's doing."""

    def __init__(self, app: Any, *chunks: bytes, query: str = "") -> None:
        self.app, self.chunks, self.query = app, list(chunks), query
        self.gone = asyncio.Event()
        self.sent: list[Message] = []
        self.task = asyncio.create_task(self._ask())

    def leave(self) -> None:
        self.gone.set()

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def error(self) -> str:
        return str(json.loads(self.sent[1]["body"])["error"])

    async def _ask(self) -> None:
        length = str(sum(map(len, self.chunks))).encode()
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/classify",
            "raw_path": b"/classify",
            "query_string": self.query.encode(),
            "headers": [(b"host", b"127.0.0.1"), (b"content-length", length)],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8000),
            "scheme": "http",
            "http_version": "1.1",
            "root_path": "",
            "state": {},
        }
        await self.app(scope, self._receive, self._send)

    async def _receive(self) -> Message:
        if self.chunks:
            chunk = self.chunks.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(self.chunks)}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.sent.append(message)
