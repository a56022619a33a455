"""What the page of a set shows of it: a picture of items like its own, and their measured SNR."""

from math import ceil

import numpy as np
from numpy.typing import NDArray

from tomodistill.evaluation.set_figures import BAND, Preview, montage_figure
from tomodistill.simulation.config import SimulationConfig
from tomodistill.simulation.noise import snr, within
from tomodistill.simulation.plan import PlanItem, class_names
from tomodistill.simulation.simulate import Simulator, maker
from tomodistill.simulation.structures import Structure
from tomodistill.tracking.records import log_figure, log_metrics

FULL_BAND, IN_BAND = "snr/full_band", f"snr/within_{BAND:g}_angstrom"  # metrics
PREVIEW = "preview"  # in the place of a split: items like those of a set, and in none
_PREVIEWED = 64  # items, of all classes together; at least two of each


def record_preview(
    config: SimulationConfig, structures: tuple[Structure, ...], *, workers: int
) -> None:
    """Draw items of each class, record their picture and the SNR that they have."""
    simulator = maker(config, structures, workers=workers)()
    preview, ratios = _preview(simulator)
    log_figure("montage", montage_figure(preview, title=_title(config, len(preview.class_names))))
    of_classes = np.median(ratios[: len(structures)].mean(axis=1), axis=0)  # `none` has no particle
    log_metrics(dict(zip((FULL_BAND, IN_BAND), map(float, of_classes), strict=True)))


def tilts(config: SimulationConfig) -> str:
    """The tilt range, for people."""
    low, high = config.tilt_range
    return f"±{high:g}°" if low == -high else f"{low:g}° to {high:g}°".replace("-", "−")


def _preview(simulator: Simulator) -> tuple[Preview, NDArray[np.float64]]:
    """Items of each class taken apart, and (c, k, 2) their SNR in the full band and within it."""
    config, names = simulator.config, class_names(simulator.config, simulator.structures)
    shape = len(names), max(2, ceil(_PREVIEWED / len(names)))
    signal, noise = np.empty((2, *shape, *[config.box] * 3), np.float32)
    ratios = np.empty((*shape, 2))
    for at in np.ndindex(shape):
        parts, particle = simulator.parts_and_particle(
            PlanItem(at[0], PREVIEW, at[0] * shape[1] + at[1])  # other poses in each class
        )
        signal[at], noise[at] = parts.signal, parts.noise
        ratios[at] = _snrs(particle, parts.noise, simulator)
    return Preview(names, signal, noise, config.voxel_spacing, config.tilt_range), ratios


def _snrs(
    particle: NDArray[np.floating], noise: NDArray[np.floating], simulator: Simulator
) -> tuple[float, float]:
    """var(particle's signal) / var(noise), both (d, d, d), in the full band and within BAND.

    Where one signal's variance holds for the whole set, that is the full band's: the few particles
    of a picture miss it by a tenth. Within BAND it is theirs, and no better known than so.
    """
    full_band = snr(particle, noise)
    if simulator.set_variance is not None:
        full_band = simulator.set_variance / float(np.var(noise, dtype=np.float64))
    seen, grain = (
        within(volume, voxel_spacing=simulator.config.voxel_spacing, resolution=BAND)
        for volume in (particle, noise)
    )
    return full_band, snr(seen, grain)


def _title(config: SimulationConfig, classes: int) -> str:
    box = f"{config.box}³ voxels at {config.voxel_spacing:g} Å"
    optics = f"defocus {config.defocus} µm, tilts {tilts(config)}"
    return f"{classes} classes, SNR {config.snr}, {box}, {optics} ({config.recipe})"
