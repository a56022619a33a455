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
def test_scaled_noise_has_the_snr_asked_for(volumes, target):
    signal, white = volumes
    scaled = noise.scale_noise(signal, white, target_snr=target)
    assert scaled.dtype == np.float32
    assert noise.snr(signal, scaled) == pytest.approx(target, rel=1e-4)


def test_band_snr_of_white_volumes_is_the_full_one(volumes):
    signal, white = volumes
    banded = noise.band_snr(signal, white, voxel_spacing=10.0, resolution=30.0)
    assert banded == pytest.approx(noise.snr(signal, white), rel=0.1)


def test_band_snr_drops_what_lies_above_the_resolution(volumes):
    _, white = volumes
    wave = np.cos(2 * np.pi * 4 / 24 * np.arange(24)) * np.ones((24, 24, 24))  # 60 Å period
    inside = noise.band_snr(wave, white, voxel_spacing=10.0, resolution=59.0)
    outside = noise.band_snr(wave, white, voxel_spacing=10.0, resolution=61.0)
    assert inside > 5 * noise.snr(wave, white)
    assert outside < 1e-12
