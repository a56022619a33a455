import bz2
import gzip
from itertools import permutations
from pathlib import Path

import gemmi
import mrcfile
import numpy as np
import pytest

from tests.simulation.structure_files import blob, lopsided, map_bytes, write_map
from tomodistill.errors import InputError
from tomodistill.simulation.maps import read_map
from tomodistill.simulation.resampling import LARGEST

NAMES = ("mapc", "mapr", "maps")


@pytest.fixture
def read(tmp_path):
    """Reads a file of these bytes."""

    def reader(content, name="a.mrc", **options):
        (tmp_path / name).write_bytes(content)
        return read_map(tmp_path / name, 10.0, **options)

    return reader


@pytest.fixture(scope="module")
def data():
    return lopsided().astype(np.float32)


@pytest.fixture
def expected(tmp_path, data):
    """What mrcfile's plainest file of the data reads as."""
    return read_map(write_map(tmp_path / "plain.mrc", data), 10.0)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["int8", "int16", "float32", "uint16", "float16"])
def test_modes_and_byte_orders(read, order, kind):
    whole = np.round(100 * lopsided())
    expected = read(map_bytes(whole.astype(np.float32)))
    assert np.array_equal(read(map_bytes(whole.astype(kind), order=order)), expected)


def test_bytes_of_imod_are_unsigned_unless_it_says_otherwise(read):
    whole = np.round(200 * lopsided())  # above 127, which as signed bytes are negative
    header = {flags: np.zeros(21, "<i4") for flags in (0, 1)}
    for flags, words in header.items():
        words[10:12] = 1146047817, flags
    unsigned, signed = (
        read(map_bytes(whole.astype(np.uint8), extra2=header[flags].tobytes())) for flags in (0, 1)
    )
    assert np.array_equal(unsigned, read(map_bytes(whole.astype(np.float32))))
    assert not np.array_equal(signed, unsigned)


@pytest.mark.parametrize("axes", [*permutations((1, 2, 3))])
def test_axes_in_any_order(read, data, expected, axes, tmp_path):
    # Columns, rows and sections run along `axes`: stored sections first.
    stored = data.transpose([3 - axis for axis in axes[::-1]])
    cells = {f"m{name}": edge for name, edge in zip("zyx", data.shape, strict=True)}
    cella = tuple(10.0 * cells[f"m{name}"] for name in "xyz")
    content = map_bytes(stored, **dict(zip(NAMES, axes, strict=True)), cella=cella, **cells)
    assert np.array_equal(read(content), expected)
    other = gemmi.read_ccp4_map(str(tmp_path / "a.mrc"), setup=True)  # it reads x, y, z
    assert np.array_equal(np.array(other.grid.array).transpose(), data)


def test_axes_that_an_old_program_left_out(read, data, expected):
    assert np.array_equal(read(map_bytes(data, mapc=0, mapr=0, maps=0)), expected)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "stamps", [{"map": b""}, {"machst": [0] * 4}, {"map": b"", "machst": [1] * 4}]
)
def test_stamps_that_are_missing_or_wrong(read, data, expected, order, stamps):
    assert np.array_equal(read(map_bytes(data, order=order, **stamps)), expected)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_compressed(read, data, expected, pack):
    assert np.array_equal(read(pack(map_bytes(data))), expected)


def test_extended_header_and_what_follows_the_data(read, data, expected):
    content = map_bytes(data, extended=b"\xff" * 1280, exttyp=b"SERI")
    assert np.array_equal(read(content + b"\xff" * 100), expected)


def test_the_place_of_the_grid_does_not_count(read, data, expected):
    content = map_bytes(data, nxstart=-7, nystart=30, nzstart=500, origin=(70.0, -1.0, 3.0))
    assert np.array_equal(read(content), expected)


@pytest.mark.parametrize("group", [0, 1, 401])
def test_space_groups_of_one_volume(read, data, expected, group):
    assert np.array_equal(read(map_bytes(data, ispg=group)), expected)


def test_spacing_is_of_the_cell_where_the_grid_is_a_part_of_it(read, data, expected):
    part = map_bytes(data, mx=48, my=60, mz=30, cella=(480.0, 600.0, 300.0))
    assert np.array_equal(read(part), expected)
    halved = map_bytes(data, mx=48, my=60, mz=30, cella=(240.0, 300.0, 150.0))
    assert np.array_equal(read(halved), read(map_bytes(data, spacing=5.0)))


@pytest.mark.parametrize(
    "fields",
    [{"spacing": 0.0}, {"spacing": 1.0}, {"mx": 0}, {"spacing": -10.0}, {"spacing": np.nan}],
)
def test_a_header_without_spacing_needs_one(read, data, expected, fields):
    with pytest.raises(InputError, match=r"voxel spacing.*a\.mrc.*give map_spacing"):
        read(map_bytes(data, **fields))
    assert np.array_equal(read(map_bytes(data, **fields), map_spacing=10.0), expected)


def test_a_header_with_a_spacing_wins(read, data, expected):
    assert np.array_equal(read(map_bytes(data), map_spacing=3.0), expected)


def test_voxels_that_are_not_cubic(read, data):
    content = map_bytes(data, cella=(240.0, 220.0, 240.0))
    with pytest.raises(InputError, match=r"10 x 10 x 12.*resample"):
        read(content, map_spacing=10.0)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"ispg": 401, "mz": 5}, r"a stack of volumes \(20 sections, 5 in each\)"),
        ({"ispg": 401, "mz": 0}, "a stack of volumes"),
        ({"ispg": 0, "mz": 1}, r"20 image\(s\) of 22 x 24"),
        ({"cellb": (90, 90, 120)}, "angles of 90 x 90 x 120"),
        ({"mapc": 3}, r"axes \(3, 2, 3\)"),
        ({"mode": 3}, "mode"),
        ({"mode": 4}, "complex"),
        ({"mode": 99}, "mode"),
        ({"nx": 0}, "no MRC or CCP4 header"),
        ({"nx": 20000, "ny": 20000}, "crop or bin"),
        ({"nx": 25}, "42240 of 44000 bytes"),
        ({"nsymbt": 2**31 - 1}, "0 of 42240 bytes"),
        *(({"nsymbt": size}, f"header of {size} bytes") for size in (-1, -500, -1024, -2000)),
    ],
)
def test_headers_that_are_refused(read, data, fields, reason):
    with pytest.raises(InputError, match=rf"a\.mrc; found .*{reason}"):
        read(map_bytes(data, **fields))


@pytest.mark.parametrize(
    "content",
    [b"", b"no map", b"\0" * 2048, b"text and more of it\n" * 1000, b"\x1f\x8b", b"BZh9" * 300],
)
def test_what_is_no_map(read, content):
    with pytest.raises(InputError, match=r"a\.mrc"):
        read(content)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
def test_truncated(read, data, pack):
    with pytest.raises(InputError, match=r"a\.mrc"):
        read(pack(map_bytes(data))[:-100])


def test_a_damaged_archive(read, data):
    packed = bytearray(gzip.compress(map_bytes(data)))
    packed[len(packed) // 2] ^= 255
    with pytest.raises(InputError, match=r"a\.mrc"):
        read(bytes(packed))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.where(blob() > 0.5, np.nan, blob()), "not finite"),
        (np.where(blob() > 0.5, np.inf, blob()), "not finite"),
        (-blob(), "no positive density"),
        (np.zeros((8, 8, 8)), "no positive density"),
        (np.ones((8, 8, 8)), "the same value everywhere"),
        (blob((1, 8, 8)), r"1 image\(s\) of 8 x 8"),
    ],
)
def test_values_that_are_no_density(read, values, reason):
    with pytest.raises(InputError, match=rf"a\.mrc.*{reason}"):
        read(map_bytes(values.astype(np.float32)))


def test_a_header_that_asks_for_too_much_is_refused_unread(read):
    edge = round(LARGEST ** (1 / 3)) + 1
    header = map_bytes(np.zeros((1, 1, 1), np.float32), nx=edge, ny=edge, nz=edge, mz=edge)
    with pytest.raises(InputError, match="crop or bin"):
        read(header)


@pytest.mark.parametrize(
    ("spacing", "reason"),
    [(1000.0, r"a particle across \d+ voxels of 10 Å"), (0.001, "voxels 10000 times as fine")],
)
def test_a_spacing_that_makes_too_many_voxels(read, data, spacing, reason):
    with pytest.raises(InputError, match=rf"a\.mrc; found {reason}"):
        read(map_bytes(data, spacing=spacing))


def test_a_real_map_and_its_compressed_twin():
    folder = Path(__file__).parents[3] / "shared" / "fixtures" / "maps"
    if not folder.is_dir():
        pytest.skip("no real maps beside the checkout")
    plain = read_map(folder / "EMD-3197.map", 11.4)
    assert np.array_equal(plain, read_map(folder / "emd_3197.map.gz", 11.4))
    assert plain.shape == (37, 37, 37)
    with mrcfile.open(folder / "EMD-3197.map") as file:
        assert plain.max() == pytest.approx(file.data.max(), rel=0.05)
