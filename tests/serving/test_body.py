"""Bodies that take more memory than their sender's patience, and compressed ones."""

import asyncio
import gzip
import tracemalloc
import zlib

import pytest
from fastapi import HTTPException, Request

from serving.body import JSON_LIMIT, Body, check_json, read_body
from serving.config import ServiceConfig

MIB = 2**20
PLAIN = b"subtomogram" * 10_000
GZIP = gzip.compress(PLAIN, mtime=0)  # tests have the same names in every process


def plain(sent: bytes, encoding: str = "gzip", limit: int = MIB) -> bytearray:
    return Body(bytearray(sent), encoding, limit).plain()


def refused(sent: bytes, limit: int = MIB) -> int:
    with pytest.raises(HTTPException) as caught:
        plain(sent, limit=limit)
    return caught.value.status_code


def peak(function, *arguments) -> int:
    """Bytes of Python's memory while it runs."""
    tracemalloc.start()
    try:
        function(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("encoding", "sent"),
    [("gzip", GZIP), ("deflate", zlib.compress(PLAIN)), ("identity", PLAIN)],
)
def test_what_was_compressed_comes_back(encoding, sent):
    assert plain(sent, encoding) == PLAIN


def test_the_limit_is_that_of_what_it_holds():
    assert plain(GZIP, limit=len(PLAIN)) == PLAIN
    assert refused(GZIP, limit=len(PLAIN) - 1) == 413


def test_a_bomb_costs_no_more_than_the_limit():
    bomb = gzip.compress(bytes(256 * MIB), 1)
    assert len(bomb) < 2 * MIB
    assert peak(refused, bomb, 4 * MIB) < 16 * MIB


@pytest.mark.parametrize(
    "sent",
    [
        b"not compressed",
        GZIP[:-1],
        GZIP[:-4] + bytes(4),  # another length than it says
        GZIP + b"x",
        GZIP + bytes(MIB),
        GZIP + GZIP,
        GZIP[:100],
    ],
)
def test_a_broken_stream_is_malformed(sent):
    assert refused(sent) == 400


def test_a_body_of_single_bytes_takes_little_more_than_its_size():
    count = 50_000
    messages = iter(
        {"type": "http.request", "body": b"x", "more_body": i} for i in range(count)[::-1]
    )

    async def receive() -> dict:
        return next(messages)

    async def read() -> None:
        body = await read_body(Request({"type": "http", "headers": []}, receive), ServiceConfig())
        assert len(body.sent) == count

    assert peak(asyncio.run, read()) < 10 * count


def test_json_has_a_limit_of_its_own():
    check_json(bytearray(JSON_LIMIT))
    with pytest.raises(HTTPException, match=f"{JSON_LIMIT} bytes of JSON"):
        check_json(bytearray(JSON_LIMIT + 1))
    rows = b",".join([b"[" + b"0," * 15 + b"0]"] * 4000)
    check_json(bytearray(rows))
    with pytest.raises(HTTPException, match="found 4000 lists and names in 15999"):
        check_json(bytearray(b",".join([b"[0]"] * 4000)))
    with pytest.raises(HTTPException, match="found 3001 lists and names"):
        check_json(bytearray(b"{" + b",".join([b'"a":0'] * 3000) + b"}"))
