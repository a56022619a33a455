"""How strong the signal of a set's particles is: what its one level of noise is set by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
from scipy.spatial.transform import Rotation
from scipy.stats import qmc
from tqdm import tqdm

from tomodistill.simulation import scene
from tomodistill.simulation.config import Range, SimulationConfig
from tomodistill.simulation.exposure import Exposure
from tomodistill.simulation.scene import Pose
from tomodistill.simulation.structures import Structure
from tomodistill.simulation.tilt_series import TiltSeries
from tomodistill.simulation.workers import busy, in_order

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]

VIEWS = 64  # of each class; evenly spread, they are worth many more drawn at random


def signal_variance(
    config: SimulationConfig, structures: tuple[Structure, ...], *, workers: int = 1
) -> float:
    """Median over the classes of the mean variance of their particles' signal (noise.py).

    The same for every SNR and any `workers`; measured once in a process.
    """
    return _signal_variance(replace(config, snr=Range(1.0, 1.0)), structures, workers)


def spread_views(config: SimulationConfig) -> list[tuple[Pose, Exposure]]:
    """VIEWS poses and exposures, evenly spread over what a set draws from.

    A Sobol sequence through rotations (Shoemake 1992, Graphics Gems III, page 124: uniform on
    SO(3)), shifts and defocus.
    """
    points = qmc.Sobol(7, rng=np.random.default_rng(0)).random(VIEWS)
    return [_view(point, config) for point in points]


def _view(point: Array, config: SimulationConfig) -> tuple[Pose, Exposure]:
    tilt, *turns = point[:3]
    angles = 2 * np.pi * np.array(turns)
    radii = np.sqrt([1 - tilt, tilt])
    quaternion = np.concatenate([radii * np.sin(angles), radii * np.cos(angles)])
    shift = config.shift * (2 * point[3:6] - 1)
    defocus = config.defocus.low + point[6] * (config.defocus.high - config.defocus.low)
    return Pose(Rotation.from_quat(quaternion), shift), Exposure(float(defocus), snr=1.0)


@lru_cache(maxsize=16)  # a set's items, its picture and a grid ask for the same one
def _signal_variance(
    config: SimulationConfig, structures: tuple[Structure, ...], workers: int
) -> float:
    views = [(label, view) for label in range(len(structures)) for view in range(VIEWS)]
    measure = partial(_measurement, config, structures)
    measured = in_order(measure, views, workers=busy(workers, len(views)))
    shown = tqdm(measured, "measuring the signal", len(views), unit=" particles", disable=None)
    variances = np.reshape(list(shown), (len(structures), VIEWS))
    return float(np.median(np.mean(variances, axis=1)))


def _measurement(
    config: SimulationConfig, structures: tuple[Structure, ...]
) -> Callable[[tuple[int, int]], float]:
    """Set up in any process."""
    imaging, views = TiltSeries(config), spread_views(config)

    def variance(item: tuple[int, int]) -> float:
        label, view = item
        pose, exposure = views[view]
        particle = np.zeros((imaging.edge,) * 3, np.float32)
        scene.place(particle, structures[label], pose)
        return float(np.var(imaging.image(particle, exposure), dtype=np.float64))

    return variance
