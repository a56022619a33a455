import numpy as np
import pytest
from scipy import ndimage

from tomodistill.simulation.maps import read_map
from tomodistill.simulation.solvent import without_solvent


@pytest.fixture
def particle():
    """Two soft balls that touch, in the middle of 40³ voxels."""
    volume = np.zeros((40, 40, 40), np.float32)
    volume[18, 20, 16] = volume[22, 20, 23] = 1
    volume = ndimage.gaussian_filter(volume, 2.5)
    return volume / volume.max()


def noise(scale, seed=0):
    rng = np.random.default_rng(seed)
    return scale * rng.standard_normal((40, 40, 40), dtype=np.float32)


def contrast(volume):
    positive = np.clip(volume, 0, None)
    return (positive**2).sum() / positive.sum()


def test_a_clean_map_stays_as_it_is(particle):
    assert without_solvent(particle) is particle


@pytest.mark.parametrize("level", [-3.0, 0.0, 5.0])
@pytest.mark.parametrize("scale", [0.01, 0.02, 0.05])
def test_noise_round_a_particle_goes_and_the_particle_stays(particle, scale, level):
    seen = without_solvent(particle + noise(scale) + np.float32(level))
    assert (seen[:4] == 0).all()
    assert (seen != 0).mean() < 0.15
    assert np.corrcoef(seen.ravel(), particle.ravel())[0, 1] > 0.98
    assert contrast(seen) == pytest.approx(contrast(particle), rel=0.15)
    # What it was before: positive noise everywhere counts as mass of little contrast.
    assert contrast(particle + noise(0.05)) < 0.75 * contrast(particle)


def test_a_particle_in_two_pieces_keeps_both():
    volume = np.zeros((40, 40, 40), np.float32)
    volume[20, 20, 10] = volume[20, 20, 30] = 1
    volume = ndimage.gaussian_filter(volume, 2.0) / 0.0079
    seen = without_solvent(volume + noise(0.02))
    assert seen[20, 20, 10] > 0.8
    assert seen[20, 20, 30] > 0.8


def test_a_dark_particle_is_refused(particle):
    for dark in (-particle, 3 - particle + noise(0.02)):
        with pytest.raises(ValueError, match="darker than its surroundings"):
            without_solvent(dark)


def test_a_map_whose_faces_are_no_solvent_stays_as_it_is(particle):
    crowded = 0.2 * particle + noise(0.1)
    assert without_solvent(crowded) is crowded


def test_real_maps_stay_as_they_are(shared):
    for path in sorted((shared / "maps").glob("*.mrc"))[:6]:
        density = read_map(path, 13.2)
        assert contrast(density) > 0.4 * density.max()
