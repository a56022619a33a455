import tracemalloc

import numpy as np
import pytest
from scipy import ndimage

from tests.simulation.structure_files import blob, lopsided
from tomodistill.simulation.resampling import SUPPORT, _band_limit, resample


@pytest.mark.parametrize("target", [5.0, 7.3, 10.0, 14.0])
def test_the_centre_of_mass_comes_to_the_middle_voxel(target):
    density = resample(lopsided(), spacing=10.0, target=target)
    assert density.dtype == np.float32
    assert len(set(density.shape)) == 1
    assert density.shape[0] % 2 == 1
    centre = np.array(ndimage.center_of_mass(density)) - density.shape[0] // 2
    assert np.abs(centre).max() < 0.1


@pytest.mark.parametrize("target", [5.0, 14.0])
def test_size_in_angstroms_is_kept(target):
    density = resample(blob(), spacing=10.0, target=target)
    axis = np.arange(density.shape[0]) - density.shape[0] // 2
    width = np.sqrt(np.average(axis**2, weights=density.sum(axis=(1, 2)))) * target
    assert width == pytest.approx(20.0, rel=0.04)  # sigma of 2 voxels of 10 Å


def test_mass_is_kept():
    sums = {target: resample(lopsided(), spacing=10.0, target=target).sum() for target in (5, 14)}
    assert sums[5] * 5**3 == pytest.approx(lopsided().sum() * 10**3, rel=0.01)
    assert sums[14] * 14**3 == pytest.approx(lopsided().sum() * 10**3, rel=0.03)


def test_frequencies_above_the_new_nyquist_are_removed():
    rng = np.random.default_rng(0)
    rough = np.zeros((60, 60, 60), np.float32)
    rough[10:50, 10:50, 10:50] = 1 + 0.5 * rng.standard_normal((40, 40, 40))
    coarse = resample(rough, spacing=5.0, target=20.0)
    centre = coarse.shape[0] // 2
    inside = coarse[centre - 3 : centre + 4, centre - 3 : centre + 4, centre - 3 : centre + 4]
    # Clipping lifts the mean a little. Picking every fourth voxel would leave a spread of 0.5;
    # a band limit of a quarter leaves about 0.5 x sqrt(4π/3 / 64 / 8) = 0.05.
    assert inside.mean() == pytest.approx(1.0, abs=0.05)
    assert inside.std() < 0.09


def test_the_band_limit_takes_14_bytes_a_voxel_of_its_padded_grid():
    density = blob((60, 60, 60), (30, 30, 30), 8.0).astype(np.float32)
    tracemalloc.start()
    limited = _band_limit(density, 0.5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert limited.dtype == np.float32
    assert peak < 14 * 72**3


def test_the_ball_holds_the_particle_wherever_it_lies_in_its_grid():
    for shift in (0, 5):
        moved = np.zeros((30, 40, 30))
        moved[4:10, 4 + shift : 20 + shift, 4:10] = 1.0  # 6 x 16 x 6: half diagonal 8.6 to 8.7
        density = resample(moved, spacing=10.0, target=10.0)
        assert density.shape == (23, 23, 23)  # 2 x (ceil(8.57) + 2) + 1
        assert (density > 0.5).sum() == pytest.approx(6 * 16 * 6, rel=0.25)


def test_padding_surrounds_the_support():
    density = resample(lopsided(), spacing=10.0, target=7.0)
    shell = np.ones(density.shape, bool)
    shell[2:-2, 2:-2, 2:-2] = False
    assert density[shell].max() < SUPPORT * density.max()
