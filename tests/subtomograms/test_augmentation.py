"""Power inside the missing wedge, as a share of all: no legal change lets it grow."""

from functools import partial

import numpy as np
import pytest
from scipy import ndimage

from tomodistill.errors import InputError
from tomodistill.simulation.wedge import measured_region
from tomodistill.subtomograms.augmentation import (
    filtered_noise,
    measured_halves,
    mix,
    response,
    shift,
    unit_variance,
)
from tomodistill.subtomograms.preprocessing import Preprocessing, preprocess
from tomodistill.subtomograms.views import VIEWS, legal_views, view

CASES = [
    (box, tilts)
    for box in (12, 13)
    for tilts in ((-60.0, 60.0), (-40.0, 40.0), (-76.0, 47.0), (-20.0, 60.0))
]
COUNT = 32  # volumes
CORNERS = ((2, 2, 2), (7, 3, 2), (3, 8, 2), (2, 4, 9))


def power(volumes: np.ndarray) -> np.ndarray:
    return np.abs(np.fft.fftn(volumes.astype(np.float64), axes=(1, 2, 3))) ** 2


def share(volumes: np.ndarray, tilts: tuple[float, float]) -> np.ndarray:
    """(n,) share of each volume's power that lies in the missing wedge."""
    of = power(volumes)
    return of[:, ~measured_region(volumes.shape[-1], *tilts)].sum(1) / of.sum((1, 2, 3))


@pytest.fixture
def volumes(box: int, tilts: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """(n, d, d, d) cropped from padded volumes: their own wedge is nearly, not exactly, empty."""
    padded = filtered_noise(measured_halves(2 * box, [tilts] * COUNT), rng)
    assert share(padded, tilts).max() < 1e-12
    inside = slice(box // 2, box // 2 + box)
    cropped = padded[:, inside, inside, inside]
    return unit_variance(cropped - cropped.mean((1, 2, 3), keepdims=True))


@pytest.mark.parametrize(("box", "tilts"), CASES)
def test_half_turns_and_shifts_keep_it(
    volumes: np.ndarray, tilts: tuple[float, float], rng: np.random.Generator
) -> None:
    before = share(volumes, tilts)
    assert (before > 0.02).all()
    for name in legal_views(tilts):
        np.testing.assert_allclose(share(view(volumes, name), tilts), before, rtol=1e-5)
    moved = shift(volumes, rng.integers(-3, 4, (COUNT, 3)))
    np.testing.assert_allclose(power(moved), power(volumes), atol=1e-9 * power(volumes).max())
    assert np.abs(moved - volumes).mean() > 0.5


@pytest.mark.parametrize(("box", "tilts"), CASES)
def test_noise_through_the_wedge_lowers_it(
    volumes: np.ndarray, tilts: tuple[float, float], rng: np.random.Generator
) -> None:
    noise = filtered_noise(measured_halves(volumes.shape[-1], [tilts] * COUNT), rng)
    assert share(noise, tilts).max() < 1e-12
    noisy = unit_variance(volumes + 0.5 * unit_variance(noise))
    assert (share(noisy, tilts) < share(volumes, tilts)).all()
    expected = 1 / (1 + 0.5**2)
    assert (share(noisy, tilts) / share(volumes, tilts)).mean() == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(("box", "tilts"), CASES)
def test_a_mix_stays_below_the_stronger_and_keeps_the_share(
    volumes: np.ndarray, tilts: tuple[float, float], rng: np.random.Generator
) -> None:
    other = np.roll(volumes, 1, axis=0)
    mixed = mix(volumes, other, share=rng.uniform(0, 1, COUNT))
    missing = ~measured_region(volumes.shape[-1], *tilts)
    of_mix, of_first, of_second = (power(v)[:, missing].sum(1) for v in (mixed, volumes, other))
    assert (of_mix <= np.maximum(of_first, of_second)).all()
    # a single one's may differ by chance: what two volumes have in common is not nothing
    assert share(mixed, tilts).mean() == pytest.approx(share(volumes, tilts).mean(), rel=0.06)


@pytest.mark.parametrize(("box", "tilts"), CASES)
def test_what_is_illegal_lets_it_grow(
    volumes: np.ndarray, tilts: tuple[float, float], rng: np.random.Generator
) -> None:
    before = share(volumes, tilts)
    for plane in ((1, 2), (1, 3), (2, 3)):
        turned = ndimage.rotate(volumes, 30, axes=plane, reshape=False)
        assert (share(turned, tilts) > before).all()
        assert share(turned, tilts).mean() > 1.3 * before.mean()
    unfiltered = volumes + 0.5 * rng.normal(size=volumes.shape)
    assert (share(unfiltered, tilts) > 1.3 * before).all()
    along_z = share(np.flip(volumes, 1), tilts)
    if tilts[0] == -tilts[1]:  # a mirror may keep the wedge: it is handedness that forbids it
        np.testing.assert_allclose(along_z, before, rtol=1e-5)
    else:
        assert (along_z > 2 * before).all()


def handedness(volume: np.ndarray) -> float:
    """Signed volume (voxels) of the tetrahedron of the voxels 1, 2, 3, 4."""
    first, *others = (np.argwhere(volume == value)[0] for value in (1, 2, 3, 4))
    return float(np.linalg.det([other - first for other in others]))


def test_handedness_is_kept_but_by_mirrors() -> None:
    particle = np.zeros((12, 12, 12), np.float32)
    for value, corner in enumerate(CORNERS, 1):
        particle[corner] = value
    assert handedness(particle) > 100
    changed = [view(particle, name) for name in VIEWS]
    changed += list(shift(np.stack(changed), np.array([[2, -1, 0], [0, 1, 2], [1, 1, 1], [0] * 3])))
    for volume in changed:
        assert handedness(volume) == pytest.approx(handedness(particle))
    for axis in range(3):
        assert handedness(np.flip(particle, axis)) == pytest.approx(-handedness(particle))


def test_a_shift_moves_each_volume_by_its_own_voxels() -> None:
    volumes = np.zeros((2, 5, 5, 5), np.float32)
    volumes[:, 1, 2, 3] = 1
    moved = shift(volumes, np.array([[1, 0, -1], [-2, 2, 3]]))
    assert np.argwhere(moved).tolist() == [[0, 2, 2, 2], [1, 4, 4, 1]]


def test_a_mix_takes_each_share_of_labels_too() -> None:
    first, second = np.eye(3, dtype=np.float32)[[0, 1]], np.eye(3, dtype=np.float32)[[2, 1]]
    mixed = mix(first, second, share=np.array([0.25, 0.5]))
    np.testing.assert_allclose(mixed, [[0.75, 0, 0.25], [0, 1, 0]])
    assert mixed.dtype == np.float32


def test_noise_is_white_where_each_item_was_measured(rng: np.random.Generator) -> None:
    ranges = [(-60.0, 60.0), (-20.0, 60.0)] * 100
    noise = filtered_noise(measured_halves(9, ranges), rng)
    for first, tilts in enumerate(ranges[:2]):
        measured = measured_region(9, *tilts)
        mean = power(noise[first::2]).mean(0) / 9**3
        assert (mean[~measured] < 1e-12).all()
        assert mean[measured].mean() == pytest.approx(1, rel=0.04)
        assert mean[measured].std() == pytest.approx(0.1, rel=0.3)  # 1/√100: of 100 volumes


def test_response_is_that_of_the_low_pass() -> None:
    prepare = partial(
        preprocess, voxel_spacing=7.0, contrast="dark", parameters=Preprocessing(lowpass=25.0)
    )
    passed = response(9, prepare)
    z, y, x = np.meshgrid(*[np.fft.fftfreq(9, 7.0)] * 2, np.fft.rfftfreq(9, 7.0), indexing="ij")
    gaussian = np.exp2(-(25.0**2) * (z**2 + y**2 + x**2))[None]
    gaussian[0, 0, 0, 0] = 0  # the mean, which normalisation removes
    np.testing.assert_allclose(passed / passed.max(), gaussian / gaussian.max(), atol=1e-6)


def test_unit_variance_keeps_constant_volumes(rng: np.random.Generator) -> None:
    volumes = rng.normal(0, [[[[3.0]]], [[[0.0]]]], (2, 6, 6, 6))
    assert unit_variance(volumes).std((1, 2, 3)) == pytest.approx([1, 0])


def test_noise_needs_a_known_wedge() -> None:
    with pytest.raises(InputError, match="unknown tilt range"):
        measured_halves(8, [(-60.0, 60.0), (np.nan, np.nan)])
