import itertools

import numpy as np
import pytest

from tomodistill.simulation.wedge import measured_region
from tomodistill.subtomograms.views import VIEWS, legal_views, view

RANGES = [(-60.0, 60.0), (-40.0, 40.0), (-76.0, 47.0), (-20.0, 60.0)]
BOX = 12


def power_outside(tilt_range: tuple[float, float], name: str, rng: np.random.Generator) -> float:
    """Share of the power that a turned subtomogram has in its missing wedge."""
    measured = measured_region(BOX, *tilt_range)
    spectrum = np.fft.fftn(rng.normal(size=(BOX, BOX, BOX))) * measured
    volume = np.fft.ifftn(spectrum)
    assert np.abs(volume.imag).max() < 1e-12  # the region is that of a real volume
    power = np.abs(np.fft.fftn(view(volume.real, name))) ** 2
    return float(power[~measured].sum() / power.sum())


@pytest.mark.parametrize("tilt_range", RANGES)
@pytest.mark.parametrize("name", VIEWS)
def test_views_are_legal_exactly_where_they_keep_the_wedge(
    tilt_range: tuple[float, float], name: str, rng: np.random.Generator
) -> None:
    outside = power_outside(tilt_range, name, rng)
    if name in legal_views(tilt_range):
        assert outside < 1e-20
    else:
        assert outside > 0.05


def test_names_of_the_legal_views() -> None:
    assert legal_views((-60.0, 60.0)) == ("identity", "y", "z", "x")
    assert legal_views((-76.0, 47.0)) == ("identity", "y")
    assert legal_views((np.nan, np.nan)) == ("identity",)
    assert legal_views([(-60.0, 60.0), (np.nan, np.nan)]) == ("identity",)


def test_views_of_a_mixed_set_are_legal_for_each_item() -> None:
    assert legal_views(np.array([[-60.0, 60.0], [-50.0, 50.0]])) == tuple(VIEWS)
    # together these span a symmetric range, but none of them has one
    assert legal_views(np.array([[-60.0, 50.0], [-50.0, 60.0]])) == ("identity", "y")


@pytest.mark.parametrize("name", VIEWS)
def test_each_view_is_a_proper_half_turn(name: str) -> None:
    centred = np.indices((5, 5, 5)) - 2.0  # (3, d, d, d): each voxel holds where it came from
    turned = view(centred, name).reshape(3, -1)
    matrix = turned @ np.linalg.pinv(centred.reshape(3, -1))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1)  # a mirror would have -1
    assert np.trace(matrix) == pytest.approx(3 if name == "identity" else -1)


@pytest.mark.parametrize("name", ["z", "y", "x"])
def test_the_axis_of_a_half_turn_stays(name: str) -> None:
    axis = np.zeros((5, 5, 5))
    along = tuple(slice(None) if name == other else 2 for other in "zyx")
    axis[along] = np.arange(1, 6)
    np.testing.assert_array_equal(view(axis, name), axis)


@pytest.mark.parametrize("tilt_range", RANGES)
def test_legal_views_are_a_group(tilt_range: tuple[float, float], rng: np.random.Generator) -> None:
    volume = rng.normal(size=(2, 4, 4, 4))
    names = legal_views(tilt_range)
    reached = {view(volume, name).tobytes() for name in names}
    assert len(reached) == len(names)
    for first, second in itertools.product(names, names):
        assert view(view(volume, first), second).tobytes() in reached
