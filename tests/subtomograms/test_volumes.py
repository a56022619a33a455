from pathlib import Path

import mrcfile
import numpy as np
import pytest

from tests.subtomograms.volume_bodies import MODES, counting, decode_volumes, mrc_bytes, npy_bytes
from tomodistill.subtomograms.volumes import parse_volumes, write_mrc


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
