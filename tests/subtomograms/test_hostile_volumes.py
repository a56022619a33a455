"""Files that lie about themselves: each is refused, and costs next to nothing."""

import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis.strategies import binary, sampled_from, text

from tests.subtomograms.volume_bodies import counting, mrc_bytes, npy_bytes, refusal
from tomodistill.errors import InputError
from tomodistill.subtomograms.volumes import parse_volumes

quick = settings(deadline=None, derandomize=True)


def test_claims_of_32_gib_are_refused_without_allocating() -> None:
    tiny = npy_bytes(counting())[:128].replace(b"(3, 3, 3), }", b"(2048, 2048, 2048), }")[:128]
    claims = {"nx": 2048, "ny": 2048, "nz": 2048}
    tracemalloc.start()
    for body in (tiny[:127] + b"\n", mrc_bytes(counting(), **claims)[:1024]):
        error = refusal(body)
        assert f"{2048**3 * 4} bytes" in error.expected
        assert error.found == "0 bytes"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6


@pytest.mark.parametrize("encode", [npy_bytes, mrc_bytes])
@pytest.mark.parametrize("change", [-1, 1])
def test_length_that_does_not_match_the_claim(encode, change: int) -> None:
    body = encode(counting())
    error = refusal(body[:-1] if change < 0 else body + b"\0")
    assert error.expected.startswith("108 bytes for shape (3, 3, 3)")
    assert error.found == f"{108 + change} bytes"


@pytest.mark.parametrize("encode", [npy_bytes, mrc_bytes])
def test_values_that_are_no_subtomogram(encode) -> None:
    broken = counting()
    broken[1, 1, 1] = np.nan
    assert "NaN" in refusal(encode(broken)).found
    broken[1, 1, 1] = -np.inf
    assert "infinity" in refusal(encode(broken)).found
    assert "constant" in refusal(encode(np.full((3, 3, 3), 7.0))).found
    error = refusal(encode(np.ones((3, 3, 4)) * np.arange(4)))
    assert "cubic" in error.expected
    assert error.found == "shape (3, 3, 4)"


def test_the_spoilt_volume_of_a_stack_is_named() -> None:
    stack = np.stack([counting(), counting(), counting()])
    stack[1, 0, 0, 0] = np.nan
    assert "volume 1" in refusal(npy_bytes(stack)).found
    stack[1] = 4.0
    assert "volume 1" in refusal(npy_bytes(stack)).found


@pytest.mark.parametrize("shape", [(), (27,), (3, 9), (0, 3, 3, 3), (1, 1, 3, 3, 3)])
def test_npy_of_other_dimensions(shape: tuple[int, ...]) -> None:
    assert refusal(npy_bytes(np.zeros(shape, np.float32))).found == f"shape {shape}"


@pytest.mark.parametrize("dtype", [object, complex, bool, "S4", [("a", "f4"), ("b", "f4")]])
def test_npy_of_other_types_is_never_unpickled(dtype) -> None:
    error = refusal(npy_bytes(np.zeros((3, 3, 3), dtype)))
    assert error.expected == "real numbers"
    assert "dtype" in error.found


@pytest.mark.parametrize("mode", [3, 4, 7, 101, -1])
def test_mrc_of_other_modes(mode: int) -> None:
    error = refusal(mrc_bytes(counting(), mode))
    assert "complex" in error.found or f"'{mode}'" in error.found


@pytest.mark.parametrize(
    "fields",
    [
        {"nx": -3, "ny": -3},
        {"nsymbt": -1024},
        {"nsymbt": -1024, "nz": 1, "ny": 1, "nx": 283},  # what is there, header included
        {"nsymbt": 2**31 - 1},
        {"ispg": 401, "mz": 0},
        {"ispg": 401, "mz": -1},
        {"machst": [1, 2, 3, 4]},
        {"mapc": 3, "maps": 1},
    ],
)
def test_hostile_mrc_headers_get_a_refusal(fields: dict[str, object]) -> None:
    refusal(mrc_bytes(counting(), **fields))


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3, -3), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (0x" + b"f" * 5000 + b",), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3",
        b"{'descr': '<f4', 'shape': (3, 3, 3), }",
        b"(" * 9000,
        b"-" * 9000 + b"1",
        b"  '''\n \\",
        b"\xff\xfe",
    ],
)
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0), (9, 9)])
def test_hostile_npy_headers_get_a_refusal(header: bytes, version: tuple[int, int]) -> None:
    length = len(header).to_bytes(2 if version == (1, 0) else 4, "little")
    refusal(b"\x93NUMPY" + bytes(version) + length + header + bytes(108))


@pytest.mark.parametrize("body", [b"", b"\x93NUMPY", b"hello" * 300, bytes(2048), b"PK\x03\x04"])
def test_other_bytes_get_a_refusal(body: bytes) -> None:
    assert ".npy" in refusal(body).expected


def test_a_form_is_told_apart_and_told_what_to_do() -> None:
    head = b'--------8f1\r\nContent-Disposition: form-data; name="f"; filename="a.mrc"\r\n\r\n'
    error = refusal(head + mrc_bytes(counting()) + b"\r\n--------8f1--\r\n")
    assert error.found == "a form around it"
    assert "curl --data-binary @file" in error.todo


@pytest.mark.parametrize("shape", [(6, 3, 3), (1, 3, 3)])
def test_images_and_volumes_in_a_row_are_told_how_stacks_are_stated(shape) -> None:
    for body in (mrc_bytes(np.ones(shape), ispg=0), npy_bytes(np.ones(shape))):
        error = refusal(body)
        assert error.expected == "cubic volumes, (d, d, d) or (n, d, d, d)"
        assert "ISPG 401" in error.todo


@quick
@given(header=binary(min_size=208, max_size=1024), stamp=sampled_from([b"DD", b"\x11\x11"]))
def test_any_mrc_header_is_read_or_refused(header: bytes, stamp: bytes) -> None:
    forged = bytearray(header.ljust(1024, b"\0") + bytes(108))
    forged[208:214] = b"MAP " + stamp
    _read_or_refused(forged)


@quick
@given(header=text(max_size=80), version=sampled_from([1, 2, 3]))
@example("{'descr': '<f4', 'fortran_order': False, 'shape': (True, 3, 9), }", 1)
@example("{'descr': '<f4', 'fortran_order': False, 'shape': (10**9999, 3), }", 1)
@example("{'descr': '<f4,<f4', 'fortran_order': 1, 'shape': (3, 3, 3), }", 1)
@example("{'descr': ('<f4', (3,)), 'fortran_order': True, 'shape': (3, 3), }", 2)
def test_any_npy_header_is_read_or_refused(header: str, version: int) -> None:
    encoded = header.encode(errors="replace")
    length = len(encoded).to_bytes(2 if version == 1 else 4, "little")
    _read_or_refused(b"\x93NUMPY" + bytes([version, 0]) + length + encoded + bytes(108))


def _read_or_refused(body: bytes | bytearray) -> None:
    with suppress(InputError):
        assert parse_volumes(body).array.nbytes <= len(body)
