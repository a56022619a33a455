import numpy as np
import pytest

from tomodistill.errors import InputError
from tomodistill.subtomograms.preprocessing import Contrast, Preprocessing, preprocess
from tomodistill.subtomograms.views import VIEWS, view

BOX, SPACING = 24, 10.0  # so that k waves in the box have a resolution of 240 / k Å


def seen(
    volumes: np.ndarray, lowpass: float = 30.0, contrast: Contrast = "bright", crop: int = 0
) -> np.ndarray:
    return preprocess(
        np.asarray(volumes, np.float32),
        voxel_spacing=SPACING,
        contrast=contrast,
        parameters=Preprocessing(lowpass, crop),
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


def by_transform(volume: np.ndarray, lowpass: float) -> np.ndarray:
    """The same low-pass by a Fourier transform in float64."""
    k = np.fft.fftfreq(volume.shape[0], SPACING)
    radius2 = k[:, None, None] ** 2 + k[:, None] ** 2 + k**2
    filtered = np.fft.ifftn(np.fft.fftn(volume.astype(float)) * np.exp2(-radius2 * lowpass**2)).real
    filtered -= filtered.mean()
    return filtered / filtered.std()


@pytest.mark.parametrize("box", [24, 27])
def test_the_filter_is_that_of_a_transform(rng: np.random.Generator, box: int) -> None:
    volume = rng.normal(size=(box, box, box)).astype(np.float32)
    np.testing.assert_allclose(seen(volume[None])[0], by_transform(volume, 30.0), atol=1e-5)


@pytest.mark.parametrize(("box", "crop"), [(24, 12), (24, 15), (27, 14), (27, 13)])
def test_a_crop_keeps_waves_below_its_nyquist_and_nothing_else(box: int, crop: int) -> None:
    z, y, x = np.indices((box,) * 3)
    at = (np.arange(crop) - (crop - 1) / 2) * box / crop + (box - 1) / 2  # voxels of the box
    for k in range(1, box // 2 + 1):
        found = seen(np.cos(2 * np.pi * k * (y + 0.2) / box)[None], lowpass=0.0, crop=crop)[0]
        if k < crop / 2:
            wave_there = np.cos(2 * np.pi * k * (at + 0.2) / box)
            np.testing.assert_allclose(found[1, :, 2], np.sqrt(2) * wave_there, atol=1e-3)
    slow, fast = np.cos(2 * np.pi * x / box), np.cos(2 * np.pi * (crop // 2 + 1) * z / box)
    both = seen((slow + fast)[None], lowpass=0.0, crop=crop)
    np.testing.assert_allclose(both, seen(slow[None], lowpass=0.0, crop=crop), atol=1e-5)


@pytest.mark.parametrize(("box", "crop"), [(24, 12), (27, 14), (24, 0)])
@pytest.mark.parametrize("name", list(VIEWS))
def test_half_turns_and_preprocessing_commute(
    rng: np.random.Generator, box: int, crop: int, name: str
) -> None:
    volumes = rng.normal(size=(2, box, box, box)).astype(np.float32)
    turned_first = seen(view(volumes, name), crop=crop)
    np.testing.assert_allclose(turned_first, view(seen(volumes, crop=crop), name), atol=1e-5)


def test_a_crop_is_normalised_and_has_the_same_bits_in_any_company(volumes: np.ndarray) -> None:
    found = seen(volumes, crop=13)
    assert found.shape == (4, 13, 13, 13)
    np.testing.assert_allclose(found.mean(axis=(1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(found.var(axis=(1, 2, 3)), 1, rtol=1e-5)
    np.testing.assert_array_equal(found[2:3], seen(volumes[2:3], crop=13))


@pytest.mark.parametrize("crop", [-1, 25])
def test_impossible_crop(volumes: np.ndarray, crop: int) -> None:
    with pytest.raises(InputError, match="crop"):
        seen(volumes, crop=crop)


@pytest.mark.parametrize("lowpass", [-1.0, np.nan, np.inf])
def test_impossible_lowpass(lowpass: float) -> None:
    with pytest.raises(InputError, match="low-pass"):
        Preprocessing(lowpass)
