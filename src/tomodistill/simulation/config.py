"""What a simulated subtomogram set is made from: the one home of its defaults."""

from __future__ import annotations

from dataclasses import dataclass

from tomodistill.errors import InputError


@dataclass(frozen=True, kw_only=True)
class SimulationConfig:
    """Parameters of a simulated set; a value that cannot be simulated raises InputError."""

    structures: str = "builtin"  # "builtin", or a folder of density maps and atomic models
    classes: str = "all"  # "all", or comma-separated structure names
    items: int = 1920  # subtomograms in all, the same number of each class
    box: int = 28  # voxels along each edge
    voxel_spacing: float = 10.0  # Å per voxel
    tilt_min: float = -60.0  # degrees
    tilt_max: float = 60.0  # degrees
    snr: float = 0.5  # var(signal) / var(noise), finished volume, full band
    shift: float = 2.0  # voxels, largest shift along each axis (uniform)
    defocus_min: float = 2.0  # µm, underfocus positive
    defocus_max: float = 5.0  # µm, underfocus positive
    voltage: float = 300.0  # kV
    cs: float = 2.7  # mm, spherical aberration
    amplitude_contrast: float = 0.07  # fraction
    seed: int = 0

    def __post_init__(self) -> None:
        self._check("items", self.items >= 1, "an integer of at least 1")
        self._check("box", self.box >= 8, "at least 8 voxels")
        self._check("voxel_spacing", 0.1 <= self.voxel_spacing <= 100, "0.1 to 100 Å per voxel")
        tilts = -90 <= self.tilt_min < self.tilt_max <= 90
        self._check("tilt_max", tilts, f"-90 <= tilt_min ({self.tilt_min}) < tilt_max <= 90")
        self._check("snr", 0 < self.snr < float("inf"), "a positive, finite ratio")
        self._check("shift", 0 <= self.shift <= self.box / 4, "0 to a quarter of the box, voxels")
        defocus = 0 <= self.defocus_min <= self.defocus_max <= 20
        self._check("defocus_max", defocus, f"0 <= defocus_min ({self.defocus_min}) <= it <= 20 µm")
        self._check("voltage", 20 <= self.voltage <= 3000, "20 to 3000 kV")
        self._check("cs", 0 <= self.cs <= 20, "0 to 20 mm")
        self._check("amplitude_contrast", 0 <= self.amplitude_contrast <= 1, "0 to 1")
        self._check("seed", self.seed >= 0, "an integer of at least 0")

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
