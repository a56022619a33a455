"""The raw body of a request, as far as it is acceptable.

Read by hand: curl's --data-binary calls any file a form, and FastAPI's own limit answers in plain
text.
"""

import asyncio

from fastapi import HTTPException, Request

from serving.config import ServiceConfig


async def read_body(request: Request, config: ServiceConfig) -> bytearray:
    """The whole body: 415 if it is encoded, 413 if too large, 408 if too slow, 400 if empty."""
    _refuse_encoded(request.headers.get("content-encoding", ""))
    limit = config.max_body_bytes
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)  # before a patient client sends it
    body = bytearray()  # no list: a body of single bytes would need a hundred times its size
    try:
        async with asyncio.timeout(config.body_seconds):
            async for chunk in request.stream():
                if len(body) + len(chunk) > limit:
                    raise _too_large(limit)
                body += chunk
    except TimeoutError:
        raise _too_slow(config.body_seconds) from None
    if not body:
        raise HTTPException(400, "expected a .npy or .mrc file as the body; found nothing")
    return body


def _too_slow(seconds: float) -> HTTPException:
    return HTTPException(
        408,
        f"expected the body within {seconds:g} s; found it unfinished. Send fewer volumes.",
        headers={"Connection": "close"},
    )


def _refuse_encoded(encoding: str) -> None:
    if encoding.strip().lower() not in ("", "identity"):
        raise HTTPException(
            415,
            f"expected a body without Content-Encoding; found {encoding!r}. Send the plain file.",
            headers={"Accept-Encoding": "identity"},
        )


def _too_large(limit: int) -> HTTPException:
    return HTTPException(
        413, f"expected a body of {limit} bytes at most; found a larger one. Send fewer volumes."
    )
