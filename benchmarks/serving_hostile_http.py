"""Bytes that are no HTTP/1.1, or HTTP/1.1 as no honest client writes it."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from serving_clients import npy
from serving_hostile_files import REFUSED
from serving_hostile_wire import CLASSIFY, INFER, INVOCATIONS, RESET, Case, request

OK, MALFORMED, MISSING = frozenset({200}), frozenset({400}), frozenset({404})
TOO_LATE, TOO_LARGE, UNKNOWN_METHOD = frozenset({408}), frozenset({413}), frozenset({405})
ENDLESS = frozenset({400, 431, RESET})
_HOST, _END = b"Host: localhost\r\n", b"Connection: close\r\n\r\n"
_LIVE = b"GET /health/live HTTP/1.1\r\n"
_LAST = _LIVE + _HOST + _END
_POST = b"POST /classify HTTP/1.1\r\n" + _HOST
_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_METHODS = b"HEAD PUT DELETE PATCH OPTIONS TRACE PROPFIND PURGE QUERY LINK MKCOL SEARCH".split()
_NO_METHODS = (b"get", b"FOO", b"", b"G\0T", b"GET\t", b"X" * 100_000, b"PRI * HTTP/2.0\r\n\r\nSM")
_NO_HEADERS = (
    *(b"X: a\0b", b"X: a\r\n b", b"X", b": x", b"X : y", b"X\t: y", b"X: a\nY: b", b"X: a\rY: b"),
    *(b"X\xff: y", b"X: \x7f", b"(X): y", b"Content-Length: 0\nX: y"),
)
_NO_LENGTHS = (
    *(b"-1", b"+5", b"0x5", b"5, 5", b"5 5", b"", b"1e1", b"5.0", b"five", b"9" * 20, b"9" * 5000),
    *(b"5\r\nContent-Length: 5", b"5\r\nContent-Length: 6", b"5\r\nTransfer-Encoding: chunked"),
)
_NO_ENCODINGS = (b"identity", b"xchunked", b"chunked, gzip", b"chunked\0", b'"chunked"', b"", b",")
_NO_CHUNKS = (b"-5", b"0x5", b"", b"z", b" 5", b"F" * 17, b"5 5", b"5\n", b"5;\0", b"5\r")
_PATHS = (
    *(b"/%00", b"/health/live%00", b"/..%2f..%2fetc/passwd", b"/%2e%2e/%2e%2e/etc/passwd"),
    *(b"/docs/../../../etc/passwd", b"/docs/files/..%2f..%2fpasswd", b"/docs/files/%00", b"*"),
    *(
        b"//evil.example/health/live",
        b"/%ff%fe",
        b"/%ed%a0%80",
        b"/%",
        b"/%zz",
        b"/" + b"a" * 60_000,
    ),
    *(
        b"/v2/models/%00",
        b"/v2/models/%2e%2e/ready",
        b"/v2/models/" + b"%f0%9f" * 5000,
        b"/\\..\\x",
    ),
    *(b"/v2/models/subtomogram-student/versions/%0d%0aX:y", b"/health/live/", b"/HEALTH/live"),
)
_NO_PATHS = (b"x", b"?x", b"http://", b"http://a:99999999/", b"http://[::1", b"/a b", b"/\xff", b"")
_NO_HOSTS = (b"", b"\xc3\xbc.example", b"evil.example", b"localhost@evil.example", b"localhost:x")
_NO_HOSTS += (
    b"localhost\r\nHost: localhost",
    b"localhost, localhost",
    b"localhost/",
    b"a" * 50_000,
)
_UPGRADES = (b"h2c", b"websocket", b"TLS/1.0", b"foo")
_IDS = (
    b"a\tb",
    b'"',
    b"\xff",
    b"x" * 129,
    b"a b",
    b"",
    b"a%0d%0aInjected: yes",
    b"{}",
    b"<script>",
)


def framing_cases(volume: NDArray[np.float32]) -> Iterator[Case]:
    """Where a request begins and ends, which proxies and servers may see differently."""
    body = npy(volume)
    smuggled = b"5\r\nhello\r\n0\r\n\r\n"
    for length in _NO_LENGTHS:
        yield _of("length", _POST + b"Content-Length: %s\r\n" % length, MALFORMED, smuggled + _LAST)
    for encoding in _NO_ENCODINGS:
        sent = _POST + b"Transfer-Encoding: %s\r\n" % encoding
        yield _of("encoding", sent, MALFORMED, smuggled + _LAST)
    for size in _NO_CHUNKS:
        yield _of("chunk", _POST + _CHUNKED, MALFORMED, size + b"\r\nhello\r\n0\r\n\r\n")
    for digits in (b"0" * 30, b"0" * 5000):
        yield _of("length", _POST + b"Content-Length: " + digits + b"5\r\n", MALFORMED, b"hello")
    yield _of("much announced", _POST + b"Content-Length: %d\r\n" % (2**63 - 1), TOO_LARGE)
    yield _of("half a body", _POST + b"Content-Length: 50\r\n", TOO_LATE, b"hello")
    yield _of("endless chunk", _POST + _CHUNKED, TOO_LATE, b"7FFFFFFFFFFFFFFF\r\nhello")
    yield Case("half a body, and away", _POST + b"Content-Length: 50\r\n\r\nx", OK, 0, leaves=True)
    yield Case("half a header, and away", _POST, OK, 0, leaves=True)
    yield _of("bytes for chunks", _POST + _CHUNKED, OK, _in_chunks(body, 1))
    yield _of("extensions", _POST + _CHUNKED, OK, _in_chunks(body, 97, b';a="b";c'))
    yield _of("trailers", _POST + _CHUNKED, OK, _in_chunks(body, 9999)[:-2] + b"Host: x\r\n\r\n")
    yield _of("zeros", _POST + _CHUNKED, REFUSED, b"00000000000000000\r\n\r\n")
    for start in (b"GET /", _LIVE + b"X: ", _LIVE, _POST + _CHUNKED + b"\r\n1;"):
        yield Case("endless", start + b"x: y\r\n" * 200_000, ENDLESS)
    yield Case("pipelined", (_LIVE + _HOST + b"\r\n") * 9 + _LAST, OK, answers=10)
    mixed = _POST + b"Content-Length: 5\r\n\r\nhello"
    yield Case("pipelined", mixed * 4 + _LAST, OK | MALFORMED, answers=5)
    ahead = _LIVE + _HOST + b"Content-Length: %d\r\n\r\n" % len(_LAST)
    yield Case("a request for a body", ahead + _LAST * 2, OK, answers=2)
    for kind in _UPGRADES:
        asked = b"Upgrade: %s\r\nConnection: Upgrade\r\n" % kind
        yield Case("upgrade", _LIVE + _HOST + asked + b"\r\n" + _LAST, OK)
        raw = b"POST %s HTTP/1.1\r\n" % INFER.encode() + _HOST + asked
        raw += b"Inference-Header-Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % volume.nbytes
        yield Case("upgrade", raw + volume.tobytes(), MALFORMED | {RESET})


def header_cases(volume: NDArray[np.float32]) -> Iterator[Case]:
    """Methods, paths, versions, headers."""
    body = npy(volume)
    for method in _METHODS:
        yield _of("method", method + b" /health/live HTTP/1.1\r\n" + _HOST, UNKNOWN_METHOD)
    yield _of("method", b"CONNECT /health/live HTTP/1.1\r\n" + _HOST, UNKNOWN_METHOD)
    for method in _NO_METHODS:
        yield _of("method", method + b" /health/live HTTP/1.1\r\n" + _HOST, ENDLESS)
    for path in _PATHS:
        yield _of("path", b"GET %s HTTP/1.1\r\n" % path + _HOST, MISSING)
    for path in _NO_PATHS:
        yield _of("path", b"GET %s HTTP/1.1\r\n" % path + _HOST, MALFORMED)
    for version in (b"HTTP/9.9", b"HTTP/1.10", b"HTTP/1", b"http/1.1", b"ICY"):
        yield _of("version", b"GET /health/live %s\r\n" % version + _HOST, MALFORMED)
    for version in (b"HTTP/1.0", b"HTTP/2.0"):
        yield _of("version", b"GET /health/live %s\r\n" % version + _HOST, OK)
    yield Case("version", b"GET /health/live\r\n\r\n", MALFORMED)
    for header in _NO_HEADERS:
        yield _of("header", _LIVE + _HOST + header + b"\r\n", MALFORMED)
    for host in _NO_HOSTS:
        yield _of("host", _LIVE + b"Host: %s\r\n" % host, MALFORMED)
    yield _of("host", _LIVE, MALFORMED)
    for value in _IDS:
        yield _of("request id", _LIVE + _HOST + b"X-Request-ID: %s\r\n" % value, OK)
        yield _of("authorization", _LIVE + _HOST + b"Authorization: %s\r\n" % value, OK)
    for count, statuses in ((1000, OK), (200_000, ENDLESS)):
        yield _of(f"{count} headers", _LIVE + _HOST + b"x: y\r\n" * count, statuses)
    for expected in (b"100-continue", b"100-Continue", b"200-ok", b"\xff"):
        asked = _POST + b"Expect: %s\r\nContent-Length: %d\r\n" % (expected, len(body))
        yield _of("expect", asked, OK, body)
        yield _of(
            "expect", _POST + b"Expect: %s\r\nContent-Length: 99999999\r\n" % expected, TOO_LARGE
        )
    for kind in (
        "application/json;" * 999,
        "\x80",
        "application/x-hdf5",
        ";",
        "multipart/form-data",
    ):
        yield Case("content type", request(CLASSIFY, body, kind), OK)
        sent = request(INVOCATIONS, b"{}", kind)
        yield Case("content type", sent, frozenset({415, 400}))


def _of(name: str, head: bytes, statuses: frozenset[int], rest: bytes = b"") -> Case:
    """A head that asks for the end of the connection after it."""
    return Case(f"{name} {head[:150]!r}", head + _END + rest, statuses)


def _in_chunks(body: bytes, size: int, extension: bytes = b"") -> bytes:
    parts = (body[start : start + size] for start in range(0, len(body), size))
    chunks = (b"%x%s\r\n%s\r\n" % (len(part), extension, part) for part in parts)
    return b"".join(chunks) + b"0\r\n\r\n"
