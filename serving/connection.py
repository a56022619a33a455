"""uvicorn's connection, made for strangers: all it grants a client is bounded, and it ends well.

A client that sends no request, or drips one, is let go; bodies have their own time in `body`.
Answers that it writes itself are JSON like all others.
"""

from typing import Any

from fastapi.responses import JSONResponse
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.headers import SecurityHeaders
from serving.work import Service

KEEP_ALIVE_SECONDS = 75  # longer than proxies keep theirs, so that none sends into a closing one
_CROWDED_SECONDS = 1.0  # likewise of one that was one too many: it makes room
HEADER_SECONDS = 10.0  # for a request to begin, and for its header to be there
_WRITE_SECONDS = 30.0  # for a client to read on
_IDLE_SECONDS, _BODY_SECONDS = 0.5, 5.0  # that a stopping service still waits for a request
_FRAMING = 65_536  # bytes beside the body: header, chunk sizes, trailers
_FRAMING_PER_BYTE = 8  # of body, as the smallest chunks need
_PIPELINED = 16  # requests that wait for the answer to another

_CROWDED = SecurityHeaders(
    JSONResponse(
        {"error": "expected fewer connections; found no free one. Try again later."},
        503,
        headers={"Retry-After": "1"},
    )
)


def connections_of(service: Service) -> type["Connection"]:
    """The class of connections to one service."""
    return type("ServiceConnection", (Connection,), {"service": service})


class Connection(HttpToolsProtocol):
    """One client's; methods that uvicorn, the transport or the parser call keep their names."""

    service: Service

    def connection_made(self, transport: Any) -> None:
        """Refuse at once what is far too much; up to then each request is answered."""
        super().connection_made(transport)
        self._idle, self._in_header = True, False
        self._crowded, self._stopping = False, False
        self._framing = 0  # bytes that were no body
        self._patience_ends = self.loop.time() + HEADER_SECONDS
        self._stalled_at: float | None = None
        if len(self.connections) > 2 * self.service.config.connections:
            transport.abort()

    @property
    def _busy(self) -> bool:
        """A request is being read, computed or answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def data_received(self, data: bytes) -> None:
        """The clock runs from the first byte of a request; its header and framing are bounded."""
        if self._idle and not self._busy:
            self._patience_ends = self.loop.time() + HEADER_SECONDS
        self._idle = False
        self._framing += len(data)
        super().data_received(data)
        if self._framing > _FRAMING and not self.transport.is_closing():
            self._last_word(431, f"expected a header of {_FRAMING} bytes at most; found a longer")

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._in_header, self._framing = True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Fields behind a chunked body are no headers: what stands in front has not seen them."""
        if self._in_header:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Only now is there a request that is answered."""
        self._crowded = len(self.connections) > self.service.config.connections
        if self._crowded:
            self.service.metrics.rejected.labels("connections").inc()
        self.app = _CROWDED if self._crowded else self.config.loaded_app
        super().on_headers_complete()
        self._in_header = False
        if self._stopping:
            self.cycle.keep_alive = False
        if len(self.pipeline) > _PIPELINED:
            self.transport.abort()

    def on_body(self, body: bytes) -> None:
        """Bytes of the body pay for the chunks that they came in."""
        self._framing = max(0, self._framing - (1 + _FRAMING_PER_BYTE) * len(body))
        waiting = self.cycle.body
        if not waiting:
            self.cycle.body = b""  # type: ignore[assignment]  # adding to it makes no copy
        elif isinstance(waiting, bytes):
            self.cycle.body = bytearray(waiting)  # adding to it makes one
        super().on_body(body)

    def on_response_complete(self) -> None:
        """The clock runs again; what is still to come of the body is read and forgotten."""
        super().on_response_complete()
        patience = _CROWDED_SECONDS if self._crowded else KEEP_ALIVE_SECONDS
        self._idle, self._patience_ends = True, self.loop.time() + patience

    def pause_writing(self) -> None:
        """The client does not read."""
        super().pause_writing()
        self._stalled_at = self.loop.time()

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        self._stalled_at = None

    def _unsupported_upgrade_warning(self) -> None:
        """Answered as what it is without; but the parser takes what follows for no HTTP."""
        self.cycle.keep_alive = False

    def send_400_response(self, msg: str) -> None:
        """Not HTTP."""
        self.service.metrics.rejected.labels("malformed").inc()
        self._last_word(400, msg)

    def watch(self, now: float) -> None:
        """Called every second: let go of who neither asks nor listens."""
        if self._stalled_at is not None and now - self._stalled_at > _WRITE_SECONDS:
            self.transport.abort()
        elif not self._busy and now > self._patience_ends:
            if self.transport.is_closing():  # the client does not take its last answer
                self.transport.abort()
            self.transport.close()

    def shutdown(self) -> None:
        """Nobody new is let in; what was sent before its client knew is still answered.

        Not told so earlier: a client that had to come anew could find the door closed.
        """
        self._stopping = True
        if self._busy:
            self.cycle.keep_alive = False
        self.loop.call_later(_BODY_SECONDS if self._busy else _IDLE_SECONDS, self._leave)

    def _leave(self) -> None:
        if not self._busy or self.cycle.more_body:
            self.cut()

    def cut(self) -> None:
        """End it now; whoever waits for an answer is told to try again."""
        self._last_word(503, "the service stops; try again")

    def _last_word(self, status: int, error: str) -> None:
        """Answer the request under way, if it has no answer yet, and close."""
        awaited = not self.cycle.response_started if self._busy else self._in_header
        if awaited:
            body = b'{"error":"%s"}' % error.encode()
            header = b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body)
            close = b"connection: close\r\n\r\n"
            self.transport.write(b"".join((STATUS_LINE[status], header, close, body)))
        if self._busy:  # what the application still says is dropped
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()
