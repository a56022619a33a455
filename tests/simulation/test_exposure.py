from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tomodistill.simulation import exposure, optics
from tomodistill.simulation.config import Range, SimulationConfig
from tomodistill.simulation.exposure import Exposure, defocus_at, draw_exposure, padded_edge

CONFIG = SimulationConfig(defocus=Range(2.0, 5.0), snr=Range(0.01, 1.0))


def test_exposures_fill_their_ranges():
    rng = np.random.default_rng(0)
    drawn = [draw_exposure(CONFIG, rng) for _ in range(2000)]
    for values, law in (
        ([of.defocus for of in drawn], stats.uniform(2, 3)),
        ([of.snr for of in drawn], stats.loguniform(0.01, 1.0)),
        ([of.x for of in drawn], stats.uniform(-0.3, 0.6)),
        ([of.z for of in drawn], stats.uniform(-0.075, 0.15)),
    ):
        assert stats.kstest(values, law.cdf).pvalue > 0.01


def test_defocus_follows_the_height():
    tilts = np.array([-60.0, 0.0, 60.0])
    on_axis = defocus_at(Exposure(defocus=3.0, snr=1.0), tilts)
    beside = defocus_at(Exposure(defocus=3.0, snr=1.0, x=0.2), tilts)
    above = defocus_at(Exposure(defocus=3.0, snr=1.0, z=0.1), tilts)
    assert on_axis == pytest.approx([3, 3, 3])
    # Turned right-handed about y by 60 degrees, +x goes to -z: against the beam, less defocus.
    assert beside == pytest.approx([3 + 0.2 * np.sin(np.pi / 3), 3, 3 - 0.2 * np.sin(np.pi / 3)])
    assert above == pytest.approx([2.95, 3, 2.95])  # 0.1 (1 - cos 60°) lower


def test_detector_passes_what_the_low_pass_lets_through():
    k = np.array([0.0, 1 / 40, 0.05])
    signal, shot = exposure.detector(k, replace(CONFIG, recipe_lowpass=40.0, binning=1.0))
    plain_signal, plain_shot = exposure.detector(k, replace(CONFIG, binning=1.0))
    assert signal / plain_signal == pytest.approx([1, 0.5, 2.0**-4])
    assert shot / plain_shot == pytest.approx([1, 0.5, 2.0**-4])
    assert plain_signal == pytest.approx(optics.mtf(k, pixel=10.0, at_nyquist=0.5))
    assert plain_shot == pytest.approx([1, 0.5**0.25, 0.5])


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_noise_has_variance_one_and_its_share_before_the_optics(share):
    rng = np.random.default_rng(0)
    structural, shot = rng.random((2, 8, 5))
    power = exposure.noise_power(structural, shot, share, variance_of=lambda p: float(p.sum()))
    assert power.sum() == pytest.approx(1.0)
    expected = share * structural / structural.sum() + (1 - share) * shot / shot.sum()
    assert power == pytest.approx(expected)


def test_padded_edge_leaves_room_for_what_the_ctf_spreads():
    config = replace(CONFIG, box=28, defocus=Range(5.0, 5.0))
    spread = optics.delocalisation(defocus=5.0, voltage=300.0, frequency=0.05) / 10.0
    assert 28 + 2 * spread <= padded_edge(config, 28) <= 28 + 2 * spread + 4
    assert padded_edge(config, 100) == 100
