"""The raw body of a request, as far as it is acceptable.

Read by hand: curl's --data-binary calls any file a form, and FastAPI's own limit answers in plain
text.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

from serving.config import ServiceConfig

# Bytes of JSON: one volume of 64³ with all its digits. Python needs up to thirty times as much
# memory for it, and the time of every other request.
JSON_LIMIT = 8 * 2**20
_FEW_PARTS, _BYTES_PER_LIST = 1000, 32  # as rows of 16 numbers have
_IDENTITY = "identity"
_ENCODINGS = (_IDENTITY, "gzip", "deflate")
_EITHER_HEADER = 32 + zlib.MAX_WBITS  # zlib sees by itself which of the two encodings it is
_DIGITS = 20  # of a length; Python refuses to read thousands of zeros
_PIECE = 2**16  # bytes that are inflated at a time: 64 MiB at most


@dataclass(frozen=True)
class Body:
    """What was sent, perhaps compressed."""

    sent: bytearray
    encoding: str
    limit: int  # bytes, of what is sent and of what it holds

    def plain(self) -> bytearray:
        """What it holds. Raises HTTPException 400 if it is broken, 413 if it is too large.

        This may take its time: it has no place on the event loop.
        """
        return self.sent if self.encoding == _IDENTITY else _inflated(self.sent, self.limit)


async def read_body(request: Request, config: ServiceConfig) -> Body:
    """The whole body: 415 if it is oddly encoded, 413 if too large, 408 if too slow, 400 if empty.

    It is still as compressed as it was sent.
    """
    encoding = _encoding(request.headers.get("content-encoding", ""))
    limit = config.max_body_bytes
    length = declared_length(request, config)
    try:
        async with asyncio.timeout(config.body_seconds):
            body = await (_chunks(request, limit) if length is None else _whole(request, length))
    except TimeoutError:
        raise _too_slow(config.body_seconds) from None
    if not body:
        raise HTTPException(400, "expected volumes as the body; found nothing")
    return Body(body, encoding, limit)


def declared_length(request: Request, config: ServiceConfig) -> int | None:
    """Bytes of the body, if its header says how many.

    Raises HTTPException 413 for too many, before a patient client sends them.
    """
    declared = request.headers.get("content-length", "")
    if not declared.isdecimal() or len(declared) >= _DIGITS:
        return None
    if int(declared) > config.max_body_bytes:
        raise _too_large(config.max_body_bytes)
    return int(declared)


async def _whole(request: Request, length: int) -> bytearray:
    """A body whose length is known: one that grew would be copied again and again."""
    body, size = bytearray(length), 0
    with memoryview(body) as view:
        async for chunk in _received(request):
            if size + len(chunk) > length:
                raise HTTPException(400, f"expected {length} bytes, as declared; found more")
            view[size : size + len(chunk)] = chunk
            size += len(chunk)
    if size < length:  # whatever comes after an Upgrade is no body
        raise HTTPException(
            400, f"expected {length} bytes, as declared; found {size}. Send no Upgrade: HTTP/1.1."
        )
    return body


async def _chunks(request: Request, limit: int) -> bytearray:
    """No list of chunks: one of single bytes would need a hundred times its size."""
    body = bytearray()
    async for chunk in _received(request):
        if len(body) + len(chunk) > limit:
            raise _too_large(limit)
        body += chunk
    return body


async def _received(request: Request) -> AsyncIterator[bytes]:
    """Like `Request.stream`, which costs twice as much for each chunk."""
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        more = message.get("more_body", False)
        yield message.get("body", b"")


def check_json(json: bytearray) -> None:
    """Raises HTTPException 413 for more bytes than are parsed, 400 for more lists than volumes are.

    Millions of lists or names would stop all other requests for seconds.
    """
    size, parts = len(json), sum(map(json.count, (b"[", b"{", b":")))
    if size > JSON_LIMIT:
        raise HTTPException(
            413,
            f"expected {JSON_LIMIT} bytes of JSON at most; found {size}. Send binary data.",
        )
    if parts > _FEW_PARTS + size // _BYTES_PER_LIST:
        raise HTTPException(
            400, f"expected lists of many numbers; found {parts} lists and names in {size} bytes."
        )


def _inflated(compressed: bytearray, limit: int) -> bytearray:
    """Never more than one byte above the limit, whatever the compressed bytes are."""
    stream, plain = zlib.decompressobj(_EITHER_HEADER), bytearray()
    view = memoryview(compressed)
    try:
        for start in range(0, len(view), _PIECE):
            if stream.eof:
                raise _not_compressed("bytes after its end")
            plain += stream.decompress(view[start : start + _PIECE], limit + 1 - len(plain))
            if len(plain) > limit:
                raise _too_large(limit)
    except zlib.error as error:
        raise _not_compressed(f"{error}") from error
    if not stream.eof or stream.unused_data:
        raise _not_compressed("another end")
    return plain


def _encoding(named: str) -> str:
    encoding = named.strip().lower() or _IDENTITY
    if encoding not in _ENCODINGS:
        raise HTTPException(
            415,
            f"expected one of the Content-Encodings {', '.join(_ENCODINGS)}; found {named!r}. "
            "Send the plain bytes.",
            headers={"Accept-Encoding": ", ".join(_ENCODINGS)},
        )
    return encoding


def _not_compressed(found: str) -> HTTPException:
    return HTTPException(
        400,
        f"expected one whole compressed stream, as Content-Encoding says; found {found}. "
        "Send the plain bytes.",
    )


def _too_slow(seconds: float) -> HTTPException:
    return HTTPException(
        408,
        f"expected the body within {seconds:g} s; found it unfinished. Send fewer volumes.",
        headers={"Connection": "close"},
    )


def _too_large(limit: int) -> HTTPException:
    return HTTPException(
        413, f"expected a body of {limit} bytes at most; found a larger one. Send fewer volumes."
    )
