"""The raw body of a request, as far as it is acceptable.

Read by hand: curl's --data-binary calls any file a form, and FastAPI's own limit answers in plain
text.
"""

from fastapi import HTTPException, Request


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body: 415 if it is encoded, 413 above `limit` bytes, 400 if it is empty."""
    _refuse_encoded(request.headers.get("content-encoding", ""))
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)  # before a patient client sends it
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    if size == 0:
        raise HTTPException(400, "expected a .npy or .mrc file as the body; found nothing")
    return b"".join(chunks)


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
