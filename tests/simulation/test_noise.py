import numpy as np
import pytest

from tomodistill.simulation import noise


@pytest.fixture
def volumes():
    rng = np.random.default_rng(0)
    return rng.standard_normal((24, 24, 24)), rng.standard_normal((24, 24, 24)).astype(np.float32)


def test_snr_is_a_variance_ratio_blind_to_offsets(volumes):
    signal, _ = volumes
    assert noise.snr(signal, 2 * signal + 7) == pytest.approx(0.25)


@pytest.mark.parametrize("target", [0.01, 0.05, 0.5, 3.0])
def test_noise_of_that_level_has_the_snr_asked_for(volumes, target):
    signal, white = volumes
    level = noise.noise_level(noise.snr(signal, white), target)
    assert noise.snr(signal, level * white) == pytest.approx(target, rel=1e-4)


def within(volume, resolution):
    return noise.within(volume, voxel_spacing=10.0, resolution=resolution)


def test_snr_within_a_band_of_white_volumes_is_the_full_one(volumes):
    signal, white = (within(volume, 30.0) for volume in volumes)
    assert noise.snr(signal, white) == pytest.approx(noise.snr(*volumes), rel=0.1)


def test_what_lies_above_the_resolution_is_gone():
    wave = np.cos(2 * np.pi * 4 / 24 * np.arange(24)) * np.ones((24, 24, 24))  # 60 Å period
    assert within(wave, 59.0) == pytest.approx(wave)
    assert within(wave, 61.0) == pytest.approx(np.zeros_like(wave), abs=1e-12)
