"""What a simulated subtomogram set is made from: the one home of its defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from tomodistill.errors import InputError

RECIPES = ("tilt_series", "convolution")
Storage = Literal["float32", "float16"]
_SHARES = ("structural_noise", "neighbours", "membranes", "gold", "off_centre", "debris")


@dataclass(frozen=True)
class Range:
    """A value, or the range from which each item draws its own; "0.1" or "0.05..0.5" as text."""

    low: float
    high: float

    @classmethod
    def parse(cls, text: str) -> Range:
        """Raises ValueError if the text is neither a number nor two joined by dots."""
        low, dots, high = text.partition("..")
        return cls(float(low), float(high if dots else low))

    def __str__(self) -> str:
        return f"{self.low:g}" if self.low == self.high else f"{self.low:g}..{self.high:g}"

    def draw(self, rng: np.random.Generator) -> float:
        """Uniform."""
        return float(rng.uniform(self.low, self.high))

    def draw_log(self, rng: np.random.Generator) -> float:
        """Uniform in the logarithm: for ratios."""
        return float(self.low * (self.high / self.low) ** rng.random())


@dataclass(frozen=True, kw_only=True)
class SimulationConfig:
    """Parameters of a simulated set; a value that cannot be simulated raises InputError."""

    structures: str = "builtin"  # "builtin", a folder of maps and models, or "pdb:1KP8,2GLS"
    classes: str = "all"  # "all", or comma-separated structure names
    map_spacing: float = 0.0  # Å per voxel of maps whose header states none
    items: int = 1920  # subtomograms in all, the same number of each class
    box: int = 28  # voxels along each edge
    voxel_spacing: float = 10.0  # Å per voxel
    recipe: str = "tilt_series"  # "tilt_series" or "convolution"
    storage: Storage = "float32"  # "float32", or "float16" for half the disk
    seed: int = 0  # another one makes other items

    # The tilt series
    tilt_min: float = -60.0  # degrees
    tilt_max: float = 60.0  # degrees
    tilt_step: float = 3.0  # degrees, rounded so that both ends are tilts (tilt_series)
    dose: float = 3.0  # electrons per Å² of each tilt; damage as at 300 kV (tilt_series)
    thickness: float = 150.0  # nm of ice (tilt_series)
    field: float = 0.6  # µm across the tilt axis from which particles come (tilt_series)

    # Optics and detector
    defocus: Range = Range(2.0, 5.0)  # µm at zero tilt, underfocus positive; a range is drawn from
    voltage: float = 300.0  # kV
    cs: float = 2.7  # mm, spherical aberration
    amplitude_contrast: float = 0.07  # fraction
    binning: float = 4.0  # detector pixels along the edge of a voxel
    mtf_nyquist: float = 0.5  # what scatter in the detector leaves at its own Nyquist frequency

    # Noise
    snr: Range = Range(0.5, 0.5)  # var(signal) / var(noise), full band; a range is drawn from
    structural_noise: float = 0.5  # share of the noise's variance that comes before the optics
    recipe_lowpass: float = 0.0  # Å, of signal and noise before the SNR is set; 0 = none

    # What else a picked box holds
    shift: float = 2.0  # voxels, largest shift of the particle along each axis (uniform)
    off_centre: float = 0.0  # share of boxes whose particle lies up to a quarter of the box off
    neighbours: float = 0.0  # share of boxes with other particles beside
    membranes: float = 0.0  # share of boxes with a piece of membrane
    gold: float = 0.0  # share of boxes with a gold bead
    none: float = 0.0  # items of class `none` for each item of another class; 0 = no such class
    debris: float = 0.9  # share of boxes of class `none` with broken particles; the rest is ice

    def __post_init__(self) -> None:
        self._check("recipe", self.recipe in RECIPES, " or ".join(RECIPES))
        self._check("storage", self.storage in get_args(Storage), " or ".join(get_args(Storage)))
        self._check("items", self.items >= 1, "an integer of at least 1")
        self._check("box", self.box >= 8, "at least 8 voxels")
        self._check("voxel_spacing", 0.1 <= self.voxel_spacing <= 100, "0.1 to 100 Å per voxel")
        self._check("map_spacing", 0 <= self.map_spacing <= 100, "0 (none) to 100 Å per voxel")
        self._check("seed", self.seed >= 0, "an integer of at least 0")
        self._check_tilt_series()
        self._check_optics()
        self._check_noise()
        self._check_contents()

    def _check_tilt_series(self) -> None:
        tilts = -90 <= self.tilt_min < self.tilt_max <= 90
        self._check("tilt_max", tilts, f"-90 <= tilt_min ({self.tilt_min}) < tilt_max <= 90")
        span = self.tilt_max - self.tilt_min
        steps = 0.1 <= self.tilt_step <= span or self.recipe == "convolution"
        self._check("tilt_step", steps, f"0.1 to {span:g} degrees")
        self._check("dose", 0 <= self.dose <= 100, "0 to 100 electrons per Å²")
        self._check("thickness", 0 <= self.thickness <= 1000, "0 to 1000 nm")
        self._check("field", 0 <= self.field <= 10, "0 to 10 µm")

    def _check_optics(self) -> None:
        defocus = 0 <= self.defocus.low <= self.defocus.high <= 20
        self._check("defocus", defocus, "0 to 20 µm, or a range as 2..5, the lower first")
        self._check("voltage", 20 <= self.voltage <= 3000, "20 to 3000 kV")
        self._check("cs", 0 <= self.cs <= 20, "0 to 20 mm")
        self._check("amplitude_contrast", 0 <= self.amplitude_contrast <= 1, "0 to 1")
        self._check("binning", 1 <= self.binning <= 100, "1 to 100 pixels")
        self._check("mtf_nyquist", 0 < self.mtf_nyquist <= 1, "above 0 and up to 1")

    def _check_noise(self) -> None:
        snr = 0 < self.snr.low <= self.snr.high < float("inf")
        self._check("snr", snr, "a positive, finite ratio, or a range as 0.1..0.5, lower first")
        self._check("recipe_lowpass", 0 <= self.recipe_lowpass < float("inf"), "0 (none) or more Å")

    def _check_contents(self) -> None:
        self._check("shift", 0 <= self.shift <= self.box / 4, "0 to a quarter of the box, voxels")
        self._check("none", 0 <= self.none <= 100, "0 to 100 times as many")
        for name in _SHARES:
            self._check(name, 0 <= getattr(self, name) <= 1, "a share from 0 to 1")

    def _check(self, name: str, valid: bool, expected: str) -> None:
        # A NaN fails every comparison, so it is refused here too.
        if not valid:
            raise InputError(
                expected=f"{name}: {expected}",
                found=f"{name}={getattr(self, name)}",
                todo=f"Give another {name}.",
            )

    @property
    def tilt_range(self) -> tuple[float, float]:
        """(tilt_min, tilt_max) in degrees."""
        return self.tilt_min, self.tilt_max
