"""Small bodies that become large, and JSON that is much work."""

import gzip
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from serving_clients import npy
from serving_hostile_files import REFUSED
from serving_hostile_wire import CLASSIFY, INFER, INVOCATIONS, MAX_BODY_MIB, Case, request

TOO_LARGE, UNSUPPORTED = frozenset({413}), frozenset({415})
_MIB = 2**20
JSON_LIMIT = 8 * _MIB  # bytes of JSON that the service parses, whatever else it takes
_BOMB = 256 * _MIB  # bytes of zeros
_DEEP = 100_000
_ENVELOPE = 200  # bytes of JSON around what fills it


def compressed_cases(volume: NDArray[np.float32]) -> Iterator[Case]:
    """Bombs, and streams that are not what Content-Encoding says; sound ones for comparison."""
    whole, zeros = gzip.compress(npy(volume)), bytes(_BOMB)
    bombs = {"gzip": gzip.compress(zeros, 9), "deflate": zlib.compress(zeros, 9)}
    for path in (CLASSIFY, INFER, INVOCATIONS):
        for encoding, bomb in bombs.items():
            yield _encoded(f"bomb {path}", bomb, encoding, TOO_LARGE, path)
        yield _encoded("a gzip bomb in gzip", gzip.compress(bombs["gzip"]), "gzip", REFUSED, path)
    yield _encoded("sound", whole, "gzip", frozenset({200}))
    yield _encoded("sound", zlib.compress(npy(volume)), "deflate", frozenset({200}))
    yield _encoded("a bomb behind a sound stream", whole + bombs["gzip"], "gzip", REFUSED)
    yield _encoded("a bomb cut off", bombs["gzip"][: len(bombs["gzip"]) // 2], "gzip", TOO_LARGE)
    yield _encoded("one byte above the limit", _zeros(1), "gzip", TOO_LARGE)
    yield _encoded("up to the limit", _zeros(0), "gzip", REFUSED)
    yield _encoded("twice", gzip.compress(whole), "gzip", REFUSED)
    yield _encoded("endless name", b"\x1f\x8b\x08\x08" + bytes(6) + b"x" * _MIB, "gzip", REFUSED)
    yield _encoded("wrong checksum", whole[:-8] + bytes(8), "gzip", REFUSED)
    yield _encoded("nothing", b"\0", "gzip", REFUSED)
    for end in range(1, len(whole), len(whole) // 40):
        yield _encoded(f"cut off at {end}", whole[:end], "gzip", REFUSED)
    for encoding in ("br", "zstd", "x-gzip", "gzip, gzip", "gzip;q=1", "chunked", "\x80", "*"):
        yield _encoded(encoding, whole, encoding, UNSUPPORTED)


def json_cases() -> Iterator[Case]:
    """As much of each as the service parses, and what JSON has odd."""
    for name, fill in _FILLED.items():
        yield _json(f"{name} in inputs", INVOCATIONS, b'{"inputs":[', fill, b"]}")
        yield _json(f"{name} in data", INFER, b'{"inputs":[%s"data":[' % _TENSOR, fill, b"]}]}")
    for field in (b"inputs", b"outputs", b"shape"):
        opened = {b"shape": b'{"inputs":[{"name":"volumes","datatype":"FP32","shape":['}
        start = opened.get(field, b'{"%s":[' % field)
        for fill in (_FILLED["lists"], _FILLED["objects"], _FILLED["numbers"]):
            yield _json(f"{fill(9)!r} in {field.decode()}", INFER, start, fill, b"")
    for names in (_names(7), _names(40)):
        yield _json("names", INFER, b'{"inputs":[[[1]]],"parameters":{', names, b"}}")
        yield _json("names", INVOCATIONS, b'{"inputs":[[[1]]],"params":{', names, b"}}")
        yield _json("names", INVOCATIONS, b"{", names, b"}")
    for path in (INVOCATIONS, INFER):
        for odd in _ODD:
            yield Case(f"{odd[:60]!r} to {path}", request(path, odd), REFUSED)
        yield Case(f"more than {JSON_LIMIT} bytes to {path}", request(path, _ABOVE), TOO_LARGE)


def _encoded(
    name: str, body: bytes, encoding: str, statuses: frozenset[int], path: str = CLASSIFY
) -> Case:
    kind = "application/json" if path == INVOCATIONS else "application/octet-stream"
    sent = request(path, body, kind, Content_Encoding=encoding)
    return Case(f"{encoding!r}: {name}", sent, statuses)


def _zeros(more: int) -> bytes:
    return gzip.compress(bytes(MAX_BODY_MIB * _MIB + more))


def _json(name: str, path: str, start: bytes, fill: Callable[[int], bytes], end: bytes) -> Case:
    return Case(name, request(path, start + fill(JSON_LIMIT - _ENVELOPE) + end), REFUSED)


def _names(digits: int) -> Callable[[int], bytes]:
    """So many bytes of different ones."""
    return lambda size: b",".join(
        b'"%0*d":0' % (digits, number) for number in range(size // (digits + 5))
    )


def _repeated(part: bytes) -> Callable[[int], bytes]:
    return lambda size: b",".join([part] * (size // (len(part) + 1)))


_TENSOR = b'{"name":"volumes","datatype":"FP32","shape":[27,27,27],'
_FILLED = {
    "lists": _repeated(b"[]"),
    "rows": _repeated(b"[" + b"0," * 15 + b"0]"),
    "lists of lists": _repeated(b"[[[0]]]"),
    "objects": _repeated(b"{}"),
    "numbers": _repeated(b"0"),
    "texts": _repeated(b'"\xc3\xa9"'),
    "large numbers": _repeated(b"9" * 4000),
    "small numbers": _repeated(b"1e-400"),
}
_ABOVE = b'{"inputs":[' + b"0," * (JSON_LIMIT // 2) + b"0]}"
_ODD = (
    *(b"[" * _DEEP, b"[" * _DEEP + b"]" * _DEEP, b'{"inputs":' * _DEEP),
    b'{"inputs":' + b"[" * _DEEP + b"]" * _DEEP + b"}",
    *(b"null", b"0", b'""', b"[]", b"{}", b'{"inputs":null}', b'{"inputs":[]}', b'{"inputs":{}}'),
    *(b'{"inputs":[[[%s]]]}' % n for n in (b"1e400", b"-1e400", b"NaN", b"Infinity", b"1e999999")),
    *(b'{"inputs":[[[%s]]]}' % n for n in (b"9" * 5000, b"0x1", b"01", b"1.", b"true", b'"1"')),
    *(b'{"inputs":[],"inputs":[[[1]]]}', b'{"inputs":[[[1]]],"instances":[[[1]]]}'),
    *(b'{"inputs":"\\ud800"}', b'{"\\udfff":[]}', b'{"inputs":"\xed\xa0\x80"}', b'{"\xff":1}'),
    *(b'\xef\xbb\xbf{"inputs":[[[1]]]}', '{"inputs":[[[1]]]}'.encode("utf-16"), b"\0", b"{" * 9),
    *(b'{"inputs":[[[1]]],"params":%s}' % p for p in (b"[]", b'{"x":1}', b'{"timeout":-1}')),
    *(b'{"inputs":[[[1]]],"params":{"voxel_spacing":%s}}' % n for n in (b"-1", b"0", b'"x"')),
    b'{"inputs":[[[1]]],"params":{"contrast":["dark"],"timeout":{},"voxel_spacing":[[]]}}',
    *(
        b'{"inputs":[%s"parameters":{"binary_data_size":%s}}]}' % (_TENSOR, n)
        for n in (b"-1", b"1e9")
    ),
    *(
        b'{"inputs":[{"name":"volumes","datatype":"FP32","shape":[%s],"data":[1]}]}' % s
        for s in (
            b"-1,-1,1",
            b"2147483647,2147483647,2147483647",
            b"0,0,0",
            b"1,1,1,1,1",
            b"1e0,1,1",
        )
    ),
)
