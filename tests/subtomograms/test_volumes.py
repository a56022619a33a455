import io
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis.strategies import binary, sampled_from, text
from mrcfile.dtypes import HEADER_DTYPE

from tomodistill.errors import InputError
from tomodistill.subtomograms.volumes import Parsed, check_volumes, parse_volumes, write_mrc

quick = settings(deadline=None, derandomize=True)
MODES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}


def decode_volumes(body: bytes) -> Parsed:
    parsed = parse_volumes(body)
    return replace(parsed, array=check_volumes(parsed.array))


def npy_bytes(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def mrc_bytes(array: np.ndarray, mode: int = 2, order: str = "<", **fields: object) -> bytes:
    """An .mrc file built field by field; `fields` replace what a sound header says."""
    header = np.zeros((), HEADER_DTYPE.newbyteorder(order))
    sides = dict(zip(("nx", "ny", "nz"), array.shape[::-1], strict=True))
    sampling = dict(zip(("mx", "my", "mz"), array.shape[::-1], strict=True))
    stamp = [0x44, 0x44, 0, 0] if order == "<" else [0x11, 0x11, 0, 0]
    sound = {"mode": mode, "map": b"MAP ", "machst": stamp, "ispg": 1, "nversion": 20140}
    axes = {"mapc": 1, "mapr": 2, "maps": 3}
    cell = {"cella": tuple(9.2 * side for side in array.shape[::-1])}
    for name, value in {**sides, **sampling, **sound, **axes, **cell, **fields}.items():
        header[name] = value
    return header.tobytes() + array.astype(order + MODES.get(mode, "f4")).tobytes()


def counting(side: int = 3) -> np.ndarray:
    """(d, d, d) with every value its own, so that a changed axis order shows."""
    return np.arange(side**3, dtype=np.float32).reshape(side, side, side)


def refusal(body: bytes) -> InputError:
    with pytest.raises(InputError) as caught:
        decode_volumes(body)
    return caught.value


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", "i2", ">i4", "u1"])
def test_npy_of_any_real_type_keeps_values_and_order(dtype: str) -> None:
    read = decode_volumes(npy_bytes(counting().astype(dtype)))
    assert read.array.dtype == np.float32
    assert read.voxel_spacing is None
    np.testing.assert_array_equal(read.array, counting()[None])


def test_npy_in_fortran_order_keeps_its_axes() -> None:
    np.testing.assert_array_equal(
        decode_volumes(npy_bytes(np.asfortranarray(counting()))).array[0], counting()
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", ["<", ">"])
def test_mrc_of_every_real_mode_and_byte_order(mode: int, order: str) -> None:
    read = decode_volumes(mrc_bytes(counting(), mode, order))
    np.testing.assert_array_equal(read.array, counting()[None])
    assert read.voxel_spacing == pytest.approx(9.2)


def test_mrc_skips_its_extended_header() -> None:
    body = mrc_bytes(counting(), nsymbt=64)
    read = decode_volumes(body[:1024] + bytes(64) + body[1024:])
    np.testing.assert_array_equal(read.array[0], counting())


def test_written_mrc_is_read_back_by_us_and_by_mrcfile(tmp_path: Path) -> None:
    path = tmp_path / "particle.mrc"
    write_mrc(path, counting(), voxel_spacing=13.1, contrast="bright")
    read = decode_volumes(path.read_bytes())
    assert read.contrast == "bright"
    np.testing.assert_array_equal(read.array[0], counting())
    assert read.voxel_spacing == pytest.approx(13.1)
    with mrcfile.open(path) as mrc:
        assert mrc.voxel_size.z == pytest.approx(13.1)
        np.testing.assert_array_equal(mrc.data, counting())


@pytest.mark.parametrize("spacing", [0.0, 1.0, -4.0, np.nan, np.inf])
def test_spacing_that_states_nothing_is_none(spacing: float) -> None:
    assert decode_volumes(mrc_bytes(counting(), cella=(3 * spacing,) * 3)).voxel_spacing is None


def test_spacing_without_sampling_is_none() -> None:
    assert decode_volumes(mrc_bytes(counting(), mx=0)).voxel_spacing is None


@pytest.mark.parametrize("other", [5.0, 1.0, 0.0, np.nan])
def test_axes_that_disagree_state_no_spacing(other: float) -> None:
    for cell in ((27.6, 3 * other, 27.6), (27.6, 27.6, 3 * other)):
        assert decode_volumes(mrc_bytes(counting(), cella=cell)).voxel_spacing is None


def test_z_of_an_image_stack_is_no_length() -> None:
    body = mrc_bytes(counting(), ispg=0, mz=1, cella=(27.6, 27.6, 27.6))
    assert decode_volumes(body).voxel_spacing == pytest.approx(9.2)


@pytest.mark.parametrize(
    ("labels", "stated"),
    [
        ([], None),
        ([b"tomodistill contrast=bright"], "bright"),
        ([b"made by another", b"tomodistill contrast=dark".ljust(80)], "dark"),
        ([b"tomodistill contrast=dark", b"tomodistill contrast=bright"], None),
        ([b"tomodistill contrast=grey"], None),
        ([b"it had tomodistill contrast=dark"], None),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_contrast_is_what_one_label_says(labels: list[bytes], stated: str | None, order) -> None:
    label = np.zeros(10, "S80")
    label[: len(labels)] = labels
    body = mrc_bytes(counting(), 2, order, label=label, nlabl=len(labels))
    assert decode_volumes(body).contrast == stated


@pytest.mark.parametrize("count", [0, -1, 2**31 - 1])
def test_labels_that_the_header_does_not_count_say_nothing(count: int) -> None:
    label = np.zeros(10, "S80")
    label[9] = b"tomodistill contrast=dark"
    stated = decode_volumes(mrc_bytes(counting(), label=label, nlabl=count)).contrast
    assert stated == ("dark" if count > 9 else None)


@pytest.mark.parametrize("encode", [npy_bytes, mrc_bytes])
def test_nothing_is_copied(encode) -> None:
    body = bytearray(encode(counting()))
    array = parse_volumes(body).array
    body[-4:] = np.float32(7).tobytes()
    assert array[-1, -1, -1] == 7


def test_stacks_of_volumes() -> None:
    stack = np.stack([counting(), counting() + 1])
    np.testing.assert_array_equal(decode_volumes(npy_bytes(stack)).array, stack)
    body = mrc_bytes(stack.reshape(6, 3, 3), ispg=401, mz=3)
    np.testing.assert_array_equal(decode_volumes(body).array, stack)


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


def test_real_density_maps(shared: Path) -> None:
    paths = sorted((shared / "structures/maps").glob("*.mrc"))
    assert len(paths) == 26
    for path in paths:
        with mrcfile.open(path) as mrc:
            read = decode_volumes(path.read_bytes())
            np.testing.assert_array_equal(read.array[0], mrc.data)
            assert read.voxel_spacing == pytest.approx(float(mrc.voxel_size.x))


def test_real_emdb_map(shared: Path) -> None:
    read = decode_volumes((shared / "fixtures/maps/EMD-3197.map").read_bytes())
    assert read.array.shape == (1, 20, 20, 20)
    assert read.voxel_spacing == pytest.approx(11.4)
