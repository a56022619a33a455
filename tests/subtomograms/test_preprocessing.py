import numpy as np
import pytest

from tomodistill.errors import InputError
from tomodistill.subtomograms.preprocessing import Contrast, Preprocessing, preprocess

BOX, SPACING = 24, 10.0  # so that k waves in the box have a resolution of 240 / k Å


def seen(volumes: np.ndarray, lowpass: float = 30.0, contrast: Contrast = "bright") -> np.ndarray:
    return preprocess(
        np.asarray(volumes, np.float32),
        voxel_spacing=SPACING,
        contrast=contrast,
        parameters=Preprocessing(lowpass),
    )


def wave(kz: int, ky: int, kx: int) -> np.ndarray:
    z, y, x = np.indices((BOX,) * 3)
    return np.cos(2 * np.pi * (kz * z + ky * y + kx * x) / BOX)


def amplitude(volume: np.ndarray, *k: int) -> float:
    return float(2 * np.abs(np.fft.fftn(volume)[k]) / BOX**3)


@pytest.fixture
def volumes(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(2.0, 3.0, (4, BOX, BOX, BOX)).astype(np.float32)


@pytest.mark.parametrize("lowpass", [0.0, 30.0])
def test_zero_mean_unit_variance(volumes: np.ndarray, lowpass: float) -> None:
    result = seen(volumes, lowpass)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result.mean(axis=(1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(result.var(axis=(1, 2, 3)), 1, rtol=1e-5)


@pytest.mark.parametrize("k", [(6, 0, 0), (0, 6, 0), (0, 0, 6), (4, 4, 2)])
def test_half_the_amplitude_passes_at_the_resolution(k: tuple[int, int, int]) -> None:
    # a wave of 40 Å beside one of 80 Å, which keeps 2 ** -(1/4); normalising keeps their ratio
    result = seen((wave(*k) + wave(0, 3, 0))[None], lowpass=40.0)[0]
    ratio = amplitude(result, *k) / amplitude(result, 0, 3, 0)
    assert ratio == pytest.approx(0.5 / 2**-0.25, rel=1e-4)


def test_no_filter_at_zero(volumes: np.ndarray) -> None:
    mean = volumes.mean(axis=(1, 2, 3), keepdims=True)
    spread = volumes.std(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(seen(volumes, 0.0), (volumes - mean) / spread, atol=1e-5)


def test_odd_boxes_keep_their_shape(rng: np.random.Generator) -> None:
    assert seen(rng.normal(size=(2, 27, 27, 27))).shape == (2, 27, 27, 27)


def test_dark_is_bright_with_the_sign_turned(volumes: np.ndarray) -> None:
    np.testing.assert_array_equal(seen(-volumes, contrast="dark"), seen(volumes))
    np.testing.assert_allclose(seen(volumes, contrast="dark"), -seen(volumes), atol=1e-6)


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 50.0, 1e12])
def test_scale_and_offset_do_not_matter(volumes: np.ndarray, scale: float) -> None:
    np.testing.assert_allclose(seen(scale * (volumes + 20)), seen(volumes), atol=1e-4)


def test_a_large_offset_does_not_drown_the_particle(volumes: np.ndarray) -> None:
    stored = (1e12 + 1e7 * volumes.astype(np.float64)).astype(np.float32)
    exact = stored.astype(np.float64) - 1e12
    np.testing.assert_allclose(seen(stored), seen(exact), atol=1e-4)


def test_each_volume_alone(volumes: np.ndarray) -> None:
    np.testing.assert_allclose(seen(volumes)[2:3], seen(volumes[2:3]), atol=1e-6)


def test_a_constant_volume_becomes_zero() -> None:
    np.testing.assert_array_equal(seen(np.full((1, BOX, BOX, BOX), 0.1)), 0)


def test_the_input_stays_as_it_was(volumes: np.ndarray) -> None:
    before = volumes.copy()
    seen(volumes, contrast="dark")
    np.testing.assert_array_equal(volumes, before)


@pytest.mark.parametrize("lowpass", [-1.0, np.nan, np.inf])
def test_impossible_lowpass(lowpass: float) -> None:
    with pytest.raises(InputError, match="low-pass"):
        Preprocessing(lowpass)
