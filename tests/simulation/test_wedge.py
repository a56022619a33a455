import numpy as np
import pytest

from tomodistill.simulation.wedge import measured_region

RANGES = [(-60.0, 60.0), (-45.0, 45.0), (-76.0, 47.0), (0.0, 60.0), (10.0, 50.0), (-90.0, 90.0)]


@pytest.mark.parametrize("tilts", RANGES)
@pytest.mark.parametrize("box", [27, 28])
def test_friedel_symmetric(box, tilts):
    region = measured_region(box, *tilts)
    mirrored = np.roll(region[::-1, ::-1, ::-1], 1, axis=(0, 1, 2))
    assert np.array_equal(region, mirrored)


@pytest.mark.parametrize("tilts", RANGES)
def test_measured_fraction_is_the_share_of_half_a_turn(tilts):
    box = 101
    k = np.fft.fftfreq(box) * box
    inside = np.hypot(k[:, None], k) <= box // 2  # a cylinder: every direction alike
    region = measured_region(box, *tilts)[:, 0, :]
    assert region[inside].mean() == pytest.approx((tilts[1] - tilts[0]) / 180, abs=0.01)


def test_axes():
    region = measured_region(28, -60, 60)
    assert region[:, :, 0].any(axis=1).tolist() == [True] + [False] * 27  # kz only at the origin
    assert region[0, :, 0].all()  # tilt axis y
    assert region[0, 0, :].all()  # the untilted slice


def test_sign_of_an_asymmetric_range():
    # A specimen turned right-handed by +45° about y shows the direction kz = +kx.
    region = measured_region(29, 30, 60)
    assert region[5, 0, 5]
    assert not region[-5, 0, 5]
    assert not region[0, 0, 5]


def test_every_tilt_measures_everything():
    assert measured_region(28, -90, 90).all()
