import numpy as np
import pytest
from scipy.optimize import brentq

from tomodistill.simulation import optics


@pytest.mark.parametrize(("voltage", "expected"), [(300.0, 0.019687), (200.0, 0.025079)])
def test_wavelength(voltage, expected):
    assert optics.wavelength(voltage) == pytest.approx(expected, abs=2e-6)


def test_frequency_grid_reaches_nyquist_along_an_axis():
    grid = optics.frequency_grid(28, 10.0)
    assert grid.shape == (28, 28, 15)
    assert grid[0, 0, 0] == 0
    assert grid[0, 0, -1] == pytest.approx(0.05)
    assert grid[1, 0, 0] == pytest.approx(1 / 280)
    assert grid[14, 14, 14] == pytest.approx(np.sqrt(3) * 0.05)


def ctf(frequency, *, defocus=3.0, voltage=300.0, cs=2.7, amplitude_contrast=0.07):
    return optics.ctf(
        np.asarray(frequency),
        defocus=defocus,
        voltage=voltage,
        cs=cs,
        amplitude_contrast=amplitude_contrast,
    )


def test_ctf_at_zero_frequency_is_minus_amplitude_contrast():
    assert ctf(0.0) == pytest.approx(-0.07)


def test_first_zero_without_aberration():
    # Pure phase contrast: sin(π λ Δf k²) is first zero again at k = 1/sqrt(λ Δf).
    zero = brentq(lambda k: ctf(k, cs=0.0, amplitude_contrast=0.0), 0.02, 0.05)
    assert zero == pytest.approx(1 / np.sqrt(0.0196875 * 3e4), rel=1e-4)


def test_spherical_aberration_moves_the_first_zero_outwards():
    aberrated = brentq(lambda k: ctf(k, defocus=0.5), 0.07, 0.13)
    perfect = brentq(lambda k: ctf(k, defocus=0.5, cs=0.0), 0.07, 0.13)
    assert 0.0005 < aberrated - perfect < 0.005


def test_protein_is_dark_up_to_the_first_zero():
    k = np.linspace(0, 0.98 / np.sqrt(0.0197 * 3e4) * np.sqrt(1 - np.arcsin(0.07) / np.pi), 100)
    assert np.all(ctf(k) < 0)


def test_mtf_is_one_at_zero_and_two_over_pi_at_nyquist():
    assert optics.mtf(np.array([0.0, 0.05]), 10.0) == pytest.approx([1.0, 2 / np.pi])


def test_delocalisation_at_five_micrometres():
    spread = optics.delocalisation(defocus=5.0, voltage=300.0, frequency=0.05)
    assert spread == pytest.approx(49.2, abs=0.1)
