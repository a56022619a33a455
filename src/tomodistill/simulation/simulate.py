"""A subtomogram set from structures: its items, one after the other or on many processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

import numpy as np

from tomodistill.simulation.calibration import signal_variance
from tomodistill.simulation.config import SimulationConfig
from tomodistill.simulation.contents import Contents, fill_box
from tomodistill.simulation.convolution import Convolution
from tomodistill.simulation.exposure import Exposure, draw_exposure
from tomodistill.simulation.noise import noise_level, snr
from tomodistill.simulation.plan import PlanItem, item_seed, plan, set_id
from tomodistill.simulation.scene import Pose
from tomodistill.simulation.structures import Structure
from tomodistill.simulation.tilt_series import TiltSeries
from tomodistill.simulation.workers import busy, in_order

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]

CONTRAST: Literal["dark", "bright"] = "dark"  # the CTF is not flipped


class Recipe(Protocol):
    """How a scene becomes a subtomogram."""

    edge: int  # d, voxels of a scene

    def image(self, scene: Array, of: Exposure) -> Array:
        """(b, b, b) float32 of a scene (d, d, d)."""

    def noise(self, of: Exposure, rng: np.random.Generator) -> Array:
        """(b, b, b) float32 of expected variance one."""


_RECIPES: dict[str, Callable[[SimulationConfig], Recipe]] = {
    "convolution": Convolution,
    "tilt_series": TiltSeries,
}


@dataclass(frozen=True, eq=False)
class SimulatedSubtomogram:
    """One finished item."""

    volume: Array  # (d, d, d) float32, z, y, x, protein dark, noise and wedge in it
    label: int
    split: str
    index: int
    quaternion: Array  # (4,) scalar last; takes the structure's (x, y, z) to the volume's
    shift: Array  # (3,) voxels, z, y, x
    defocus: float  # µm at zero tilt, underfocus positive
    snr: float  # nominal: of the box, or of its set
    seed: int


@dataclass(frozen=True, eq=False)
class Parts:
    """What an item is the sum of, and what it came from; arrays (b, b, b) float32."""

    signal: Array
    noise: Array
    pose: Pose
    exposure: Exposure


class Simulator:
    """Makes any item of one set."""

    def __init__(
        self,
        config: SimulationConfig,
        structures: tuple[Structure, ...],
        *,
        set_variance: float | None = None,
        name: str | None = None,
    ) -> None:
        """`set_variance` is the signal's for the whole set; with None each box has its own.

        Seeds come from `name`, by default the set's id: two sets of one name have the same poses.
        """
        self.config, self.structures, self.set_variance = config, structures, set_variance
        self.name = name or set_id(config, structures)
        self.recipe: Recipe = _RECIPES[config.recipe](config)

    def __call__(self, item: PlanItem) -> SimulatedSubtomogram:
        """The finished item."""
        parts = self.parts(item)
        return SimulatedSubtomogram(
            volume=parts.signal + parts.noise,
            label=item.label,
            split=item.split,
            index=item.index,
            quaternion=parts.pose.rotation.as_quat(),
            shift=parts.pose.shift,
            defocus=parts.exposure.defocus,
            snr=parts.exposure.snr,
            seed=self._seed(item),
        )

    def parts(self, item: PlanItem) -> Parts:
        """Signal and noise of an item."""
        return self._parts(*self._draw(item))

    def particle(self, item: PlanItem) -> Array:
        """(b, b, b) float32: the signal of an item's particle alone."""
        box, exposure, _ = self._draw(item)
        return self.recipe.image(box.particle, exposure)

    def parts_and_particle(self, item: PlanItem) -> tuple[Parts, Array]:
        """As `parts` and `particle`, with the box drawn once."""
        box, exposure, rng = self._draw(item)
        parts = self._parts(box, exposure, rng)
        return parts, self._particle(box, parts.signal, exposure)

    def _parts(self, box: Contents, exposure: Exposure, rng: np.random.Generator) -> Parts:
        signal = self.recipe.image(box.scene, exposure)
        noise = self.recipe.noise(exposure, rng)
        level = noise_level(self._variance_ratio(box, signal, noise, exposure), exposure.snr)
        return Parts(signal, np.float32(level) * noise, box.pose, exposure)

    def _draw(self, item: PlanItem) -> tuple[Contents, Exposure, np.random.Generator]:
        rng = np.random.default_rng(np.random.SeedSequence(self._seed(item)))
        config, edge = self.config, self.recipe.edge
        box = fill_box(self.structures, item.label, config=config, edge=edge, rng=rng)
        return box, draw_exposure(config, rng), rng

    def _variance_ratio(
        self, box: Contents, signal: Array, noise: Array, exposure: Exposure
    ) -> float:
        """What the set fixes; else of the particle's own signal to this very noise."""
        if self.set_variance is not None:
            return self.set_variance
        return snr(self._particle(box, signal, exposure), noise)

    def _particle(self, box: Contents, signal: Array, exposure: Exposure) -> Array:
        """Its own signal, which is the box's where nothing else is in it."""
        alone = np.array_equal(box.scene, box.particle)
        return signal if alone else self.recipe.image(box.particle, exposure)

    def _seed(self, item: PlanItem) -> int:
        return item_seed(self.name, item.split, item.index)


def maker(
    config: SimulationConfig,
    structures: tuple[Structure, ...],
    *,
    workers: int = 1,
    name: str | None = None,
) -> Callable[[], Simulator]:
    """Sets up a set's simulator in any process; for `tilt_series` the signal is measured first."""
    variance = None
    if config.recipe == "tilt_series":
        variance = signal_variance(config, structures, workers=workers)
    return partial(Simulator, config, structures, set_variance=variance, name=name)


def simulate(
    config: SimulationConfig,
    structures: tuple[Structure, ...],
    *,
    workers: int,
    start: int = 0,
) -> Iterator[SimulatedSubtomogram]:
    """The set in the order of `plan` from item `start` on, the same bytes for any `workers`."""
    items = plan(config, len(structures))[start:]
    make = maker(config, structures, workers=workers)
    return in_order(make, items, workers=busy(workers, len(items)))
