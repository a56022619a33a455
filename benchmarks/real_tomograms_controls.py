"""Particles that the model knows, and noise, as tomograms of 8 bits like the real ones.

Boxes stand side by side, each as it was simulated; their grey values have the mean and deviation of
the real tomogram's, and are as coarse. In the hardest control a particle's signal alone is added to
boxes of the real tomogram in which nothing was found: its noise, its filters, our particles.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from tomodistill.simulation.config import Range, SimulationConfig
from tomodistill.simulation.plan import PlanItem
from tomodistill.simulation.simulate import Simulator, maker
from tomodistill.simulation.structures import load_structures
from tomodistill.subtomograms.dataset import SubtomogramSet

Array = NDArray[np.float64]
_ACROSS = 8  # boxes side by side along x


@dataclass(frozen=True)
class Grey:
    """Of a real tomogram; what is put beside it has the same."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, tomogram: NDArray[np.generic]) -> "Grey":
        """As it is stored."""
        return cls(float(np.mean(tomogram)), float(np.std(tomogram)))

    def coarse(self, bright: Array) -> NDArray[np.uint8]:
        """Any particle-bright values in 8 bits."""
        scaled = (bright - bright.mean()) / bright.std() * self.deviation + self.mean
        return np.asarray(np.rint(scaled).clip(0, 255), np.uint8)


def tiled(boxes: Array) -> tuple[Array, Array]:
    """(z, y, x) of boxes (n, d, d, d) side by side, and (n, 3) their centres; the rest is empty."""
    count, edge = boxes.shape[:2]
    tomogram = np.full((edge, -(-count // _ACROSS) * edge, _ACROSS * edge), boxes.mean())
    corners = [(0, n // _ACROSS * edge, n % _ACROSS * edge) for n in range(count)]
    for box, (_, y, x) in zip(boxes, corners, strict=True):
        tomogram[:, y : y + edge, x : x + edge] = box
    return tomogram, np.array(corners, float) + edge // 2


def write_tiff(path: Path, tomogram: NDArray[np.uint8], voxel_spacing: float) -> None:
    """As ImageJ does: pages are z, the spacing in nm."""
    per_nm = 10 / voxel_spacing
    known = {"axes": "ZYX", "spacing": voxel_spacing / 10, "unit": "nm"}
    tifffile.imwrite(path, tomogram, imagej=True, resolution=(per_nm, per_nm), metadata=known)


def of_test_part(data: SubtomogramSet) -> Mapping[str, Array]:
    """Boxes of the test part, bright: of particles, and of class `none` where there is one."""
    rows, names = data.rows("test"), data.header.class_names
    none = np.array(names)[data.labels[rows]] == "none"
    parts = {"known particles": rows[~none], "class none": rows[none]}
    return {
        name: np.asarray(data.volumes(of, contrast="bright"), float)
        for name, of in parts.items()
        if len(of)
    }


def simulator(data: SubtomogramSet) -> Simulator:
    """What made the set, for items that are in none."""
    recipe = dict(data.header.recipe)
    for name in ("snr", "defocus"):
        recipe[name] = Range(**recipe[name])
    config = SimulationConfig(**recipe)
    structures = load_structures(
        config.structures, classes=config.classes, voxel_spacing=config.voxel_spacing
    )
    return maker(config, structures)()


def noise(make: Simulator, count: int) -> Array:
    """(count, d, d, d) of nothing else, each at the level of its item."""
    classes = len(make.structures)
    items = [PlanItem(n % classes, "control", n) for n in range(count)]
    return np.stack([make.parts(item).noise for item in items]).astype(float)


def added(make: Simulator, backgrounds: Array, count: int) -> Array:
    """(count, d, d, d) bright signals of particles in the given boxes (m, d, d, d), in turn.

    The ratio of variances is that of the item's own box: full band, the same SNR.
    """
    boxes = []
    for n in range(count):
        parts = make.parts(PlanItem(n % len(make.structures), "control", n))
        background = backgrounds[n % len(backgrounds)]
        level = background.std() / parts.noise.std()
        boxes.append(background - level * parts.signal)
    return np.stack(boxes)
