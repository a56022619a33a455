from pathlib import Path

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
import zarr

from tests.subtomograms.volume_bodies import counting, mrc_bytes
from tests.tomograms.tomogram_files import EVERY, SPACING, STATING, write_ome_zarr
from tomodistill.subtomograms.dataset import SubtomogramSet
from tomodistill.tomograms.cropping import Cropping, crop
from tomodistill.tomograms.files import open_tomogram, open_volume


@pytest.mark.parametrize("name", EVERY)
def test_a_delta_in_a_file_of_any_format_comes_to_the_centre_of_its_crop(
    name: str, tmp_path: Path
) -> None:
    tomogram = np.zeros((9, 10, 11), np.int16)
    tomogram[3, 5, 6] = 7
    EVERY[name](tmp_path / name, tomogram.astype("f4") if "mrc" in name else tomogram)
    with open_tomogram(tmp_path / name) as file:
        assert tuple(file.array.shape) == (9, 10, 11)
        assert file.voxel_spacing == (pytest.approx(SPACING) if name in STATING else None)
        found = crop(file.array, np.array([[3.0, 5, 6]]), edge=4, options=Cropping()).volumes[0]
    assert found[2, 2, 2] == 7
    assert found.sum() == 7


@pytest.mark.parametrize("mode", [0, 1, 2, 6, 12])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("broken", [{}, {"machst": 0, "map": b"    "}])
def test_mrc_of_every_mode_and_byte_order_even_misstated(
    mode: int, order: str, broken: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / "volume.rec"
    body = mrc_bytes(counting(), mode, order, nsymbt=64, **broken)
    path.write_bytes(body[:1024] + bytes(64) + body[1024:] + b"more")
    with open_volume(path) as file:
        np.testing.assert_array_equal(file.array[:], counting())
        assert (file.holds, file.voxel_spacing) == ("volume", pytest.approx(9.2))


@pytest.mark.parametrize(("flags", "values"), [(0, 200), (1, -56), (16, 200)])
def test_imod_says_whether_bytes_have_a_sign(flags: int, values: int, tmp_path: Path) -> None:
    path = tmp_path / "bytes.mrc"
    stamps = np.array([1146047817, flags], "<i4").tobytes()
    body = bytearray(mrc_bytes(np.full((3, 3, 3), 200, np.uint8).view(np.int8), 0))
    body[152:160] = stamps
    path.write_bytes(body)
    with open_volume(path) as file:
        assert file.array[1, 1, 1] == values


@pytest.mark.parametrize(
    ("name", "fields", "holds"),
    [
        ("a.mrc", {"ispg": 1}, "volume"),
        ("a.mrc", {"ispg": 0}, "volume"),  # as most programs write tomograms
        ("a.mrc", {"ispg": 0, "mz": 1}, "images"),
        ("a.mrcs", {"ispg": 0}, "images"),
        ("a.st", {"ispg": 0}, "images"),
        ("a.mrcs", {"ispg": 1}, "volume"),
        ("a.mrc", {"ispg": 401, "mz": 3}, "volumes"),
    ],
)
def test_volumes_stacks_and_images(name: str, fields: dict, holds: str, tmp_path: Path) -> None:
    stack = np.concatenate([counting(), counting()])
    (tmp_path / name).write_bytes(mrc_bytes(stack, **({"mz": 6} | fields)))
    with open_volume(tmp_path / name) as file:
        assert file.holds == holds
        np.testing.assert_array_equal(np.reshape(file.array[:], (6, 3, 3)), stack)


def test_contrast_and_spacing_of_a_subtomogram_set(subtomogram_set: SubtomogramSet) -> None:
    with open_volume(subtomogram_set.path) as file:
        assert (file.holds, file.contrast, file.voxel_spacing) == ("volumes", "dark", 10.0)
        rows = np.array([3])
        np.testing.assert_array_equal(file.array[3], subtomogram_set.volumes(rows)[0])


def test_a_stack_of_eman2(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "stack.hdf", "w") as file:
        for number in range(12):
            file[f"MDF/images/{number}/image"] = counting() + number
    with open_volume(tmp_path / "stack.hdf") as opened:
        assert (opened.holds, opened.array.shape) == ("volumes", (12, 3, 3, 3))
        np.testing.assert_array_equal(opened.array[10], counting() + 10)
        np.testing.assert_array_equal(opened.array[10, 1:, :2], (counting() + 10)[1:, :2])


def test_a_stack_of_images_of_eman2(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "images.hdf", "w") as file:
        for number in range(3):
            file[f"MDF/images/{number}/image"] = counting()[number]
    with open_volume(tmp_path / "images.hdf") as opened:
        assert (opened.holds, opened.array.shape) == ("images", (3, 3, 3))


def test_the_named_resolution_and_dataset(tmp_path: Path) -> None:
    volume = np.arange(8**3, dtype=np.float32).reshape(8, 8, 8)
    write_ome_zarr(2)(tmp_path / "ome.zarr", volume)
    with open_volume(tmp_path / "ome.zarr", dataset="s1") as file:
        assert file.voxel_spacing == pytest.approx(2 * SPACING)
        np.testing.assert_array_equal(file.array[:], volume[::2, ::2, ::2])
    with h5py.File(tmp_path / "two.h5", "w") as stored:
        stored["a/raw"], stored["a/denoised"], stored["mask"] = volume, volume + 1, volume[0]
    with open_volume(tmp_path / "two.h5", dataset="/a/denoised") as file:
        assert file.array[0, 0, 0] == 1
    zarr.open_group(str(tmp_path / "group.zarr"), mode="w").create_array("a/raw", data=volume)
    for name in ("", "/a/raw"):
        with open_volume(tmp_path / "group.zarr", dataset=name) as file:
            np.testing.assert_array_equal(file.array[2:3], volume[2:3])
    zarr.save_array(str(tmp_path / "bare.zarr"), volume)
    with open_volume(tmp_path / "bare.zarr") as file:
        np.testing.assert_array_equal(file.array[2:3], volume[2:3])


@pytest.mark.parametrize("dots", [72, 0])
def test_scattered_pages_and_dots_per_inch(dots: int, tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "pages.tif", bigtiff=True, byteorder=">") as tiff:
        for page in counting().astype(np.uint8):
            tiff.write(
                page,
                contiguous=False,
                metadata=None,
                resolution=(dots, dots),
                resolutionunit="INCH",
            )
    with open_volume(tmp_path / "pages.tif") as file:
        np.testing.assert_array_equal(file.array[:], counting())
        assert file.voxel_spacing is None


def test_real_maps_and_tomograms(shared: Path) -> None:
    with mrcfile.open(shared / "fixtures/maps/EMD-3197.map") as mrc:
        for name in ("EMD-3197.map", "emd_3197.map.gz"):
            with open_tomogram(shared / "fixtures/maps" / name) as file:
                np.testing.assert_array_equal(file.array[:], mrc.data)
                assert file.voxel_spacing == pytest.approx(11.4)
    path = shared / "fixtures/tomograms/13pf_MT.tif"
    with open_tomogram(path) as file:
        np.testing.assert_array_equal(file.array[4:6], tifffile.imread(path)[4:6])
        assert file.voxel_spacing == pytest.approx(10.52)
