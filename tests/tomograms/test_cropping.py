import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.subtomograms.volume_bodies import mrc_bytes
from tests.versions import MANIFEST
from tomodistill.inference.preparation import prepare
from tomodistill.subtomograms.preprocessing import Preprocessing
from tomodistill.tomograms.cropping import Cropping, crop, edge_spanning
from tomodistill.tomograms.files import open_tomogram

SHAPE = (14, 16, 18)


@pytest.fixture
def tomogram() -> np.ndarray:
    """Every value its own."""
    return np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)


def cropped(array: np.ndarray, *centres: tuple[float, float, float], edge: int, **options):
    return crop(array, np.array(centres, float), edge=edge, options=Cropping(**options))


def gaussian(shape: tuple[int, ...], centre: tuple[float, ...], width: float) -> np.ndarray:
    squares = [(np.arange(side) - at) ** 2 for side, at in zip(shape, centre, strict=True)]
    return np.exp(-np.add.outer(np.add.outer(squares[0], squares[1]), squares[2]) / 2 / width**2)


@pytest.mark.parametrize("edge", [5, 6])
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_nearest_voxel_comes_to_the_middle(tomogram, edge: int, mirrored: bool) -> None:
    found = cropped(tomogram, (6.4, 6.5, 6.6), edge=edge, mirrored=mirrored)  # half goes up
    half = edge // 2
    assert found.volumes[0, half, half, half] == tomogram[6, 7, 7]
    step = -1 if mirrored else 1
    assert found.volumes[0, half + step, half, half] == tomogram[7, 7, 7]
    assert found.volumes[0, half, half - 1, half + 1] == tomogram[6, 6, 8]
    assert (found.outside[0], found.taken[0]) == (0, True)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("edge", [15, 16])
def test_a_shift_below_a_voxel_is_exact(edge: int, mirrored: bool) -> None:
    centre = (15.3, 14.5, 16.21)
    blob = gaussian((31, 32, 33), centre, 1.5)
    found = cropped(blob, centre, edge=edge, subvoxel=True, mirrored=mirrored)
    wanted = gaussian((edge,) * 3, (edge // 2,) * 3, 1.5)
    np.testing.assert_allclose(found.volumes[0], wanted, atol=1e-3)


def test_what_is_outside_is_padded_with_the_mean_of_the_rest(tomogram) -> None:
    found = cropped(tomogram, (0, 8, 17), (13, 15, 0), edge=4)
    assert found.outside == pytest.approx([1 - 2 * 4 * 3 / 64, 1 - 3 * 3 * 2 / 64])
    inside = tomogram[:2, 6:10, 15:18]
    np.testing.assert_array_equal(found.volumes[0, 2:, :, :3], inside)
    np.testing.assert_array_equal(found.volumes[0, :2], np.float32(inside.mean()))
    np.testing.assert_array_equal(found.volumes[1, :3, :3, 2:], tomogram[11:, 13:, :2])
    assert found.taken.all()


def test_what_reaches_outside_is_dropped_where_that_is_asked(tomogram) -> None:
    found = cropped(tomogram, (0, 8, 17), (7, 8, 9), edge=4, border="drop")
    assert found.taken.tolist() == [False, True]
    assert not found.volumes[0].any()


@pytest.mark.parametrize("centre", [(-9, 8, 8), (7, 8, 1e30), (7, np.nan, 8), (7, -np.inf, 8)])
def test_centres_far_outside_and_no_numbers_give_nothing(tomogram, centre) -> None:
    found = cropped(tomogram, centre, edge=4, subvoxel=True)
    assert (found.outside[0], found.taken[0]) == (1, False)
    assert not found.volumes.any()


@pytest.mark.parametrize("dtype", ["i1", "u1", ">i2", "u2", ">f4", "f2", "f8"])
def test_every_type_becomes_float32(dtype: str) -> None:
    array = np.arange(120).reshape(4, 5, 6).astype(dtype)
    found = cropped(array, (2, 2, 2), (0, 0, 0), edge=4).volumes
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[0], array[:4, :4, :4])


def test_a_gibibyte_costs_what_is_cut_out(tmp_path: Path) -> None:
    path, side = tmp_path / "sparse.mrc", 812
    header = mrc_bytes(np.zeros((0, side, side)), 1, nz=side, mz=side)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + 2 * side**3)
    tracemalloc.start()
    with open_tomogram(path) as tomogram:
        crop(tomogram.array, np.full((20, 3), 400.0), edge=40, options=Cropping(subvoxel=True))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


@pytest.mark.parametrize("spacing", [10.0, 10.15, 9.85, 8.4, 6.67, 5.0, 3.3])
@pytest.mark.parametrize("box", [27, 28, 40])
def test_edges_that_span_the_box_suit_the_model(box: int, spacing: float) -> None:
    model = replace(MANIFEST, box=box, voxel_spacing=10.0, preprocessing=Preprocessing(lowpass=40))
    edge = edge_spanning(box, model_spacing=10.0, tomogram_spacing=spacing)
    volumes = np.random.default_rng(1).normal(size=(1, edge, edge, edge))
    assert prepare(model, volumes, voxel_spacing=spacing).box == edge
