import numpy as np
import pytest
from scipy import fft, ndimage

from tomodistill.errors import InputError
from tomodistill.simulation.projection import Projector, accumulated_dose, tilt_angles
from tomodistill.simulation.wedge import measured_region


def rng(seed=0):
    return np.random.default_rng(seed)


def projector(*, edge=32, box=20, low=-60.0, high=60.0, step=3.0):
    return Projector.of(edge=edge, box=box, angles=tilt_angles(low, high, step))


def phantom(edge, seed=0):
    """A few soft balls well inside the disc."""
    volume = np.zeros((edge,) * 3, np.float32)
    for z, y, x in rng(seed).integers(-edge // 6, edge // 6, (12, 3)) + edge // 2:
        volume[z, y, x] += 1
    return ndimage.gaussian_filter(volume, 1.2)


def shells(a, b, region=None):
    """FSC of two cubes in shells of one Fourier voxel, up to Nyquist; within a region if given."""
    fa, fb = fft.fftn(a), fft.fftn(b)
    k = fft.fftfreq(len(a)) * len(a)
    radius = np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k**2).round().astype(int)
    inside = radius < len(a) // 2
    if region is not None:
        inside &= region

    def summed(values):
        return np.bincount(radius[inside], values[inside])

    cross = summed((fa * fb.conj()).real)
    return cross / np.sqrt(summed(np.abs(fa) ** 2) * summed(np.abs(fb) ** 2))


@pytest.mark.parametrize(
    ("low", "high", "step", "count"),
    [(-60, 60, 3, 41), (-76, 47, 3, 42), (-50, 51, 2, 51), (0, 3, 3, 2), (-60, 60, 7, 18)],
)
def test_tilts_reach_both_ends_in_even_steps(low, high, step, count):
    angles = tilt_angles(low, high, step)
    assert (angles[0], angles[-1], len(angles)) == (low, high, count)
    assert np.ptp(np.diff(angles)) < 1e-9
    assert abs(np.diff(angles)[0] - step) <= step / 2 / (count - 1) + 1e-9


def test_small_tilts_have_the_smallest_dose():
    dose = accumulated_dose(tilt_angles(-60, 60, 3), 3.0)
    assert dose[20] == 1.5  # no tilt: half of its own exposure
    assert sorted(dose) == pytest.approx(3.0 * np.arange(41) + 1.5)
    assert dose[[0, 40]] == pytest.approx([118.5, 121.5])


# Projection: the projection-slice theorem


def spectrum_of(volume, tilt):
    """(d, d//2) the samples of one tilt below Nyquist."""
    one = Projector.of(edge=len(volume), box=20, angles=np.array([tilt, tilt + 10]))
    chosen = (one.tilt == 0) & (one.radius < len(volume) // 2)
    return one.project(volume)[:, chosen]


def image_of(volume, tilt):
    """(y, x') the projection, its centre at d // 2."""
    lines = fft.irfft(fft.ifft(spectrum_of(volume, tilt), axis=0), len(volume), axis=1)
    return np.roll(lines, len(volume) // 2, axis=1)


def test_projection_without_tilt_is_a_sum_along_the_beam():
    volume = phantom(32)
    assert image_of(volume, 0.0) == pytest.approx(volume.sum(axis=0), abs=1e-3)


@pytest.mark.parametrize("tilt", [-47.0, 33.0, 60.0])
def test_projection_is_a_central_slice(tilt):
    """Against the transform of the volume summed out at points of the slice."""
    volume = phantom(32).astype(np.float64)
    spectrum = spectrum_of(volume, tilt)
    theta, axis = np.radians(tilt), np.arange(32) - 16
    for row, column in ((0, 3), (5, 7), (-4, 12)):
        kx, kz = column * np.cos(theta) / 32, column * np.sin(theta) / 32
        z, y, x = np.meshgrid(axis, np.arange(32), axis, indexing="ij")
        exact = (volume * np.exp(-2j * np.pi * (kz * z + row / 32 * y + kx * x))).sum()
        assert spectrum[row, column] == pytest.approx(exact, rel=1e-4, abs=1e-3)


def test_samples_fill_the_square_that_voxels_can_carry():
    back = projector(low=-60.0, high=60.0)
    kx = back.radius * np.cos(np.radians(back.angles))
    kz = back.radius * np.sin(np.radians(back.angles))
    assert 15 < kx.max() < 16
    assert 15 < np.abs(kz).max() < 16
    assert back.radius.max() == 22  # at 45 degrees, below 16 √2


def test_tilt_is_right_handed_about_y():
    # At +45 degrees a point at +z comes to x' = z sin θ > 0.
    volume = np.zeros((32, 32, 32), np.float32)
    volume[16 + 6, 10, 16] = 1
    seen = image_of(volume, 45.0)
    assert np.unravel_index(seen.argmax(), seen.shape) == (10, 20)  # 6 sin 45° = 4.2


# Back-projection


@pytest.mark.parametrize("box", [20, 21])
def test_a_delta_at_the_centre_stays(box):
    volume = np.zeros((32, 32, 32), np.float32)
    volume[16, 16, 16] = 1
    back = projector(box=box)
    seen = back.reconstruct(back.project(volume))
    assert np.unravel_index(seen.argmax(), seen.shape) == (box // 2,) * 3


@pytest.mark.parametrize("shift", [(3, 0, 0), (0, -4, 0), (0, 0, 5), (2, 3, -4)])
def test_a_delta_elsewhere_stays_too(shift):
    volume = np.zeros((32, 32, 32), np.float32)
    volume[tuple(16 + np.array(shift))] = 1
    back = projector()
    seen = back.reconstruct(back.project(volume))
    assert tuple(np.array(np.unravel_index(seen.argmax(), seen.shape)) - 10) == shift


def test_all_tilts_give_the_phantom_back():
    volume = phantom(32)
    back = projector(edge=32, box=32, low=-90, high=88.5, step=1.5)
    seen = back.reconstruct(back.project(volume))
    assert shells(seen, volume)[1:14].min() > 0.985  # to 0.9 of Nyquist
    scale = (seen * volume).sum() / (volume**2).sum()
    assert scale == pytest.approx(1.0, abs=0.02)


def test_a_slice_at_both_ends_of_all_tilts_counts_once():
    once, twice = projector(low=-90, high=87), projector(low=-90, high=90)
    assert once.weights.sum() == pytest.approx(twice.weights.sum(), rel=1e-3)
    volume = phantom(32)
    a, b = (each.reconstruct(each.project(volume)) for each in (once, twice))
    assert b == pytest.approx(a, abs=0.02 * float(np.abs(a).max()))


@pytest.mark.parametrize("tilts", [(-60.0, 60.0), (-76.0, 47.0), (-40.0, 40.0)])
def test_a_limited_range_gives_back_what_it_measured(tilts):
    volume = phantom(48)
    back = projector(edge=48, box=48, low=tilts[0], high=tilts[1], step=1.0)
    seen = back.reconstruct(back.project(volume))
    # A few degrees from its borders, where a Fourier voxel is measured in part.
    region = measured_region(48, tilts[0] + 3, tilts[1] - 3)
    assert shells(seen, volume, region)[2:20].min() > 0.97
    power = np.abs(fft.fftn(seen)) ** 2
    k = np.abs(fft.fftfreq(48))
    beyond = ~measured_region(48, tilts[0] - 6, tilts[1] + 6)
    beyond &= np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k**2) > 0.1
    assert power[beyond].sum() < 2e-3 * power.sum()


def test_reconstruction_of_the_middle_is_the_middle_of_the_reconstruction():
    volume = phantom(32)
    whole, middle = projector(box=32), projector(box=20)
    spectra = whole.project(volume)
    crop = slice(6, 26)
    assert middle.reconstruct(spectra) == pytest.approx(
        whole.reconstruct(spectra)[crop, crop, crop], abs=1e-5
    )


# Noise


@pytest.mark.parametrize("edge", [27, 32])
def test_expected_variance_of_noise_is_the_measured_one(edge):
    back = projector(edge=edge, box=20)
    power = 0.2 + back.radius / edge * np.ones((edge, 1))
    seen = [back.reconstruct(back.white_noise(rng(i)) * np.sqrt(power)) for i in range(30)]
    assert np.var(seen) == pytest.approx(back.variance(power), rel=0.02)


def test_noise_is_the_same_everywhere_in_the_box():
    back = projector()
    seen = np.array([back.reconstruct(back.white_noise(rng(i))) for i in range(60)])
    for axis in range(3):
        planes = seen.var(axis=(0, *(i + 1 for i in range(3) if i != axis)))
        assert planes == pytest.approx(np.full(20, seen.var()), rel=0.12)


def test_a_box_too_large_for_memory_is_refused():
    with pytest.raises(InputError, match=r"found .* GiB for a box of 256 voxels and 41 tilts"):
        projector(edge=400, box=256)
