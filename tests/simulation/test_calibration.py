from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tomodistill.simulation.calibration import signal_variance, spread_views
from tomodistill.simulation.config import Range, SimulationConfig
from tomodistill.simulation.plan import PlanItem
from tomodistill.simulation.simulate import Simulator
from tomodistill.simulation.workers import in_order

CONFIG = SimulationConfig(box=24, tilt_step=6.0, defocus=Range(2.0, 5.0))


def test_views_are_spread_over_all_that_a_set_draws_from():
    views = spread_views(CONFIG)
    tops = np.array([pose.rotation.apply([0, 0, 1]) for pose, _ in views])
    for component in tops.T:
        assert stats.kstest(component, stats.uniform(-1, 2).cdf).statistic < 0.1
    angles = [pose.rotation.magnitude() for pose, _ in views]
    assert stats.kstest(angles, lambda a: (a - np.sin(a)) / np.pi).statistic < 0.1
    defocus = [exposure.defocus for _, exposure in views]
    assert stats.kstest(defocus, stats.uniform(2, 3).cdf).statistic < 0.05
    shifts = np.array([pose.shift for pose, _ in views])
    assert np.abs(shifts).max() <= 2.0
    assert np.abs(shifts.mean(axis=0)).max() < 0.1


def test_variance_is_that_of_many_random_particles(structures):
    simulator = Simulator(CONFIG, structures[2:])
    drawn = [np.var(simulator.particle(PlanItem(0, "test", index))) for index in range(300)]
    assert signal_variance(CONFIG, structures[2:]) == pytest.approx(np.mean(drawn), rel=0.03)


def test_noise_level_is_that_of_the_middle_class(structures):
    each = [signal_variance(CONFIG, (structure,)) for structure in structures]
    assert signal_variance(CONFIG, structures) == pytest.approx(np.median(each), rel=0.1)


def test_the_signal_is_measured_once_for_all_snrs_and_again_for_other_tilts(
    structures, monkeypatch
):
    measured = []

    def counted(make, items, *, workers):
        measured.append(workers)
        return in_order(make, items, workers=workers)

    monkeypatch.setattr("tomodistill.simulation.calibration.in_order", counted)
    config = replace(CONFIG, seed=11)
    found = {
        signal_variance(replace(config, snr=snr), structures)
        for snr in (Range(0.1, 0.1), Range(0.5, 0.5), Range(0.1, 2.0))
    }
    assert (len(found), measured) == (1, [1])
    assert signal_variance(replace(config, tilt_max=40.0), structures) not in found
    assert measured == [1, 1]


def test_any_number_of_workers_measures_the_same_signal(structures):
    alone, together = (signal_variance(CONFIG, structures, workers=n) for n in (1, 2))
    assert alone == together
