"""Forged .npy and .mrc files, and good ones with bytes changed, cut off or added."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from serving_clients import npy
from serving_hostile_wire import CLASSIFY, Case, request

from tests.serving.bodies import mrc

REFUSED = frozenset({400, 422})
TAKEN_OR_REFUSED = REFUSED | {200}  # of a body that may be anything
EXTREMES = (0, 1, -1, 2, 27, 2**15, 2**31 - 1, -(2**31), 2**31, 2**63 - 1, 2**63, 2**64, 10**30)
_MRC_WORDS = 256  # of 4 bytes, in the header
_NAN, _INFINITY, _ONES = 0x7FC00000, 0x7F800000, 0x01010101
_INT32 = (*(n for n in EXTREMES if -(2**31) <= n < 2**31), _NAN, _INFINITY, _ONES)
_VERSIONS = ((1, 0), (2, 0), (3, 0), (0, 1), (255, 255))
_DTYPES = (
    *("<f4", ">f4", "<f2", "<f8", "<i8", "|u1", "|b1", "<c8", "<f16", "|O", "|V8", "<U4", "<f0"),
    *("<M8[ns]", "(2,)<f4", "<f4,<f4", "<f4" * 1000, "", "\0", "é", [("a", "<f4")], 4, None),
)
_EDGES = st.sampled_from(EXTREMES)
_SHAPES = st.lists(_EDGES, max_size=40).map(tuple) | st.sampled_from(
    [(27, 27, 27), (27.0, 27, 27), ("27",), (True,) * 3, [27, 27, 27], None]
)
_HEADERS = st.fixed_dictionaries(
    {"descr": st.sampled_from(_DTYPES), "shape": _SHAPES},
    optional={
        "fortran_order": st.sampled_from([True, False, 2, None, "no"]),
        "more": st.text(max_size=20),
    },
)
_TEXTS = (
    _HEADERS.map(repr)
    | st.text("{}()[],:'\\+-*0123456789ejxLnul \n\0", max_size=200)
    | st.sampled_from([sign * 9000 for sign in ("(", "[", "-", "~", "9")])
)


def npy_cases(volume: NDArray[np.float32]) -> st.SearchStrategy[Case]:
    """Headers that claim anything, and altered files of a good volume (d, d, d)."""
    data = altered(volume.tobytes())
    forged = st.builds(_npy, st.sampled_from(_VERSIONS), _TEXTS, st.none() | _EDGES, data)
    return (forged | altered(npy(volume), first=128)).map(_case)


def mrc_cases(volume: NDArray[np.float32]) -> st.SearchStrategy[Case]:
    """Headers with words of extreme values, and altered files of a good volume (d, d, d)."""
    with TemporaryDirectory() as folder:
        good = mrc(Path(folder), volume)
    words = st.dictionaries(st.integers(0, _MRC_WORDS - 1), st.sampled_from(_INT32), min_size=1)
    forged = words.map(lambda values: _with_words(good, values))
    return (forged | altered(good, first=1024)).map(_case)


@st.composite
def altered(draw: st.DrawFn, good: bytes, *, first: int = 2**30) -> bytes:
    """Some bytes changed, mostly among the `first`; cut off anywhere, or with bytes behind."""
    changed = bytearray(good)
    near, far = (st.integers(0, min(end, len(good)) - 1) for end in (first, len(good)))
    for place, byte in draw(st.dictionaries(near | far, st.integers(0, 255), max_size=8)).items():
        changed[place] = byte
    end = draw(st.just(len(good)) | near | far)
    return bytes(changed[:end]) + draw(st.just(b"") | st.binary(max_size=9))


def _npy(version: tuple[int, int], text: str, claimed: int | None, data: bytes) -> bytes:
    """`claimed`: length of the header; None: its own."""
    header = text.encode("utf-8", "surrogatepass")
    length, size = len(header) if claimed is None else claimed, 2 if version == (1, 0) else 4
    stated = (length % 2 ** (8 * size)).to_bytes(size, "little")
    return b"\x93NUMPY" + bytes(version) + stated + header + data


def _with_words(good: bytes, values: dict[int, int]) -> bytes:
    """`values`: number of the word -> what it is instead."""
    words = np.frombuffer(good[: 4 * _MRC_WORDS], "<u4").copy()
    for place, value in values.items():
        words[place] = value % 2**32
    return words.tobytes() + good[4 * _MRC_WORDS :]


def _case(body: bytes) -> Case:
    sent = request(CLASSIFY, body, "application/octet-stream")
    return Case(repr(body[:1100]), sent, TAKEN_OR_REFUSED)
