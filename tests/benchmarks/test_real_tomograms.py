"""Places in tomograms of one microtubule, and controls that are stored as these are."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from tomodistill.tomograms.cropping import Cropping, crop
from tomodistill.tomograms.files import open_volume

ROOT = Path(__file__).parents[2]
SPACING, EDGE = 10.52, 8


@pytest.fixture
def script(monkeypatch):
    """A module of benchmarks/ by its name."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


@pytest.fixture
def places(script):
    return script("real_tomograms_places")


def tube(shape, at):
    """(z, y, x) of a tube whose wall is bright, in noise; `at` of y: z and x of its axis."""
    z, y, x = np.mgrid[tuple(slice(side) for side in shape)]
    middle_z, middle_x = at(y)
    distance = np.hypot(z - middle_z, x - middle_x) * SPACING
    wall = np.exp(-0.5 * ((distance - 112) / 25) ** 2)
    return wall + np.random.default_rng(0).normal(0, 1, shape)


def test_the_axis_of_a_microtubule_is_found_in_noise(places):
    shape = (36, 96, 80)
    axis = places.find_axis(tube(shape, lambda y: (17.5, 25 + 0.3 * y)), SPACING)
    points = places.on_axis(axis, shape, SPACING)
    assert np.abs(points[:, 0] - 17.5).max() < 1
    assert np.abs(points[:, 2] - (25 + 0.3 * points[:, 1])).max() < 1
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1) * SPACING
    assert steps == pytest.approx(np.full(len(steps), places.DIMER))


def test_places_on_the_wall_and_far_from_it(places):
    axis = places.Axis(z=np.array([0.0, 17.5]), x=np.array([0.3, 25.0]))
    shape = (36, 96, 80)
    wall = places.on_wall(axis, shape, SPACING, filaments=13)
    empty = places.background(axis, shape, SPACING, EDGE)

    def distances(points):
        return np.linalg.norm(np.cross(points - axis.at(np.zeros(1)), axis.direction), axis=1)

    assert distances(wall) * SPACING == pytest.approx(np.full(len(wall), places.RADIUS))
    assert len(empty)
    assert distances(empty).min() * SPACING > places.RADIUS + places.WALL / 2 + SPACING * EDGE / 2
    assert ((empty >= EDGE // 2) & (empty + EDGE // 2 <= shape)).all()


def test_boxes_that_share_no_voxel_are_counted(places):
    row = np.array([[0, 0, x] for x in (0, 4, 8, 12, 16)], float)
    assert places.apart(row, edge=8) == 3


def test_a_control_comes_back_from_its_tomogram_as_coarse_as_the_real_ones(script, tmp_path):
    controls = script("real_tomograms_controls")
    boxes = np.random.default_rng(1).normal(size=(10, EDGE, EDGE, EDGE))
    tomogram, centres = controls.tiled(boxes)
    grey = controls.Grey(mean=106.0, deviation=24.5)
    controls.write_tiff(tmp_path / "control.tif", grey.coarse(tomogram), SPACING)
    with open_volume(tmp_path / "control.tif") as file:
        assert file.voxel_spacing == pytest.approx(SPACING)
        assert file.array.dtype == np.uint8
        back = crop(file.array, centres, edge=EDGE, options=Cropping()).volumes
    scale = grey.deviation / tomogram.std()
    wanted = ((boxes - tomogram.mean()) * scale + grey.mean).clip(0, 255)
    assert back == pytest.approx(wanted, abs=0.51)


def test_intervals_count_boxes_that_are_apart(script):
    share_of = script("real_tomograms").share_of
    hits = np.arange(100) < 20
    assert share_of(hits, 100) == pytest.approx((0.2, 0.1334, 0.2888), abs=1e-3)
    assert share_of(hits, 10).high > 0.45
