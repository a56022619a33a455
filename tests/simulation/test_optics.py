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


@pytest.mark.parametrize("defocus", [1.5, 3.0, 5.0])
def test_every_zero_within_the_band_is_where_the_formula_says(defocus):
    # With Cs = 0 and A = 0 the phase is π λ Δf k²: zeros at k = sqrt(n / (λ Δf)).
    lam = optics.wavelength(300.0)
    zeros = np.sqrt(np.arange(1, 6) / (lam * defocus * 1e4))
    values = ctf(zeros, defocus=defocus, cs=0.0, amplitude_contrast=0.0)
    assert np.abs(values).max() < 1e-9
    middles = np.sqrt((np.arange(5) + 0.5) / (lam * defocus * 1e4))
    signs = ctf(middles, defocus=defocus, cs=0.0, amplitude_contrast=0.0)
    assert signs == pytest.approx([-1, 1, -1, 1, -1])


@pytest.mark.parametrize(
    ("voltage", "lam", "cs", "amplitude"),
    [(300.0, 0.019687, 2.7, 0.07), (200.0, 0.025079, 2.0, 0.1)],
)
def test_ctf_is_the_whole_formula(voltage, lam, cs, amplitude):
    for k, defocus in ((0.02, 3.0), (0.06, 2.0), (0.15, 0.8)):
        phase = np.pi * lam * defocus * 1e4 * k**2 - np.pi / 2 * cs * 1e7 * lam**3 * k**4
        expected = -np.sqrt(1 - amplitude**2) * np.sin(phase) - amplitude * np.cos(phase)
        value = ctf(k, defocus=defocus, voltage=voltage, cs=cs, amplitude_contrast=amplitude)
        assert value == pytest.approx(expected, abs=2e-3)


def test_ctf_takes_one_defocus_for_each_tilt():
    k = np.linspace(0, 0.05, 7)
    together = ctf(k[:, None], defocus=np.array([2.0, 4.0]))
    assert together[:, 1] == pytest.approx(ctf(k, defocus=4.0))


def test_damage_at_known_doses():
    # Critical doses read off the published curve's formula by hand: 4.3 electrons per Å² at 3 Å.
    k = np.array([0.0, 1 / 40, 1 / 20, 1 / 3])
    critical = [np.inf, 116.8, 38.7, 4.33]
    for dose in (0.0, 10.0, 60.0):
        left = optics.damage(k, np.full(4, dose))
        assert left == pytest.approx(np.exp(-dose / (2 * np.array(critical))), rel=2e-2)


def test_thick_ice_costs_most_at_high_tilt():
    loss = optics.thickness_loss(np.array([0.0, 60.0, -60.0, 90.0]), 150.0)
    # At 60 degrees the path is twice as long: exp(-150 / (2 * 395)).
    assert loss[:3] == pytest.approx([1, np.exp(-150 / 790), np.exp(-150 / 790)])
    assert 0 < loss[3] < loss[2]
    assert optics.thickness_loss(np.array([60.0]), 0.0) == pytest.approx([1.0])


def test_detector_at_its_own_nyquist_frequency():
    k = np.array([0.0, 0.2])  # pixels of 2.5 Å
    assert optics.noise_transfer(k, pixel=2.5, at_nyquist=0.5) == pytest.approx([1.0, 0.5])
    assert optics.mtf(k, pixel=2.5, at_nyquist=0.5) == pytest.approx([1.0, 0.5 * 2 / np.pi])


def test_low_pass_is_one_half_at_its_resolution():
    assert optics.low_pass(np.array([0.0, 1 / 40]), 40.0) == pytest.approx([1.0, 0.5])
    assert optics.low_pass(np.array([0.0, 1 / 40]), 0.0) == pytest.approx([1.0, 1.0])


def test_delocalisation_at_five_micrometres():
    spread = optics.delocalisation(defocus=5.0, voltage=300.0, frequency=0.05)
    assert spread == pytest.approx(49.2, abs=0.1)
