"""Which things lie in a picked box, and where: drawn at random from the shares of a set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from tomodistill.simulation import scene
from tomodistill.simulation.config import SimulationConfig
from tomodistill.simulation.scene import Pose
from tomodistill.simulation.structures import Structure

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]

MOST_NEIGHBOURS = 3
VESICLE = (150.0, 1000.0)  # Å, radii of membranes
GOLD = (25.0, 50.0)  # Å, radii of beads: 5 and 10 nm fiducials


@dataclass(frozen=True, eq=False)
class Contents:
    """Of one box before it is imaged; scenes are (d, d, d), z, y, x, protein positive."""

    pose: Pose  # of the particle; of class `none`, of what was picked for one
    scene: Array  # everything
    particle: Array  # the particle alone; of class `none`, one that would have been there


def draw_pose(config: SimulationConfig, rng: np.random.Generator) -> Pose:
    """A Haar rotation and a shift, uniform along each axis."""
    rotation = Rotation.random(rng=rng)
    off_centre = rng.random() < config.off_centre
    reach = config.box / 4 if off_centre else config.shift
    return Pose(rotation, rng.uniform(-reach, reach, 3))


def fill_box(
    structures: tuple[Structure, ...],
    label: int,
    *,
    config: SimulationConfig,
    edge: int,
    rng: np.random.Generator,
) -> Contents:
    """A box of class `label`; a label past the structures is class `none`."""
    none = label == len(structures)
    structure = structures[int(rng.integers(len(structures))) if none else label]
    pose = draw_pose(config, rng)
    particle = np.zeros((edge,) * 3, np.float32)
    scene.place(particle, structure, pose)
    everything = np.zeros_like(particle) if none else particle.copy()
    taken = structure.radius
    if none:
        taken = _add_debris(everything, structure, pose, config, rng)
    _add_neighbours(everything, structures, pose, taken, config, rng)
    _add_membrane(everything, pose, taken, config, rng)
    _add_gold(everything, pose, taken, config, rng)
    return Contents(pose, everything, particle)


def _add_debris(
    everything: Array,
    structure: Structure,
    pose: Pose,
    config: SimulationConfig,
    rng: np.random.Generator,
) -> float:
    """Two halves of a structure, broken along a plane and stuck together wrongly; or nothing.

    Halves of one structure, for power spectra of two sizes at once would give them away. Returns
    what other things keep away from, voxels: the radius, or a quarter of the box.
    """
    if rng.random() >= config.debris:
        return config.box / 4
    normal = _direction(rng)
    for side in (normal, -normal):
        half = Pose(Rotation.random(rng=rng), pose.shift)
        scene.place(everything, structure, half, keep=side)
    return structure.radius


def _add_neighbours(
    everything: Array,
    structures: tuple[Structure, ...],
    pose: Pose,
    taken: float,
    config: SimulationConfig,
    rng: np.random.Generator,
) -> None:
    """Particles of any class that touch neither the picked one nor each other.

    Membranes and gold keep off the picked one too, but not off these.
    """
    if rng.random() >= config.neighbours:
        return
    placed = [(pose.shift, taken)]
    for _ in range(int(rng.integers(1, MOST_NEIGHBOURS + 1))):
        structure = structures[int(rng.integers(len(structures)))]
        size, rotation = structure.radius, Rotation.random(rng=rng)
        at = _beside(pose, taken + size, config, rng)
        if all(np.linalg.norm(at - other) >= size + room for other, room in placed):
            scene.place(everything, structure, Pose(rotation, at))
            placed.append((at, size))


def _add_membrane(
    everything: Array,
    pose: Pose,
    taken: float,
    config: SimulationConfig,
    rng: np.random.Generator,
) -> None:
    """A vesicle's wall beside the particle, which is within the vesicle or outside of it."""
    if rng.random() >= config.membranes:
        return
    keep_off = taken + 2 * scene.LEAFLET / config.voxel_spacing
    point = _beside(pose, keep_off, config, rng)
    away = point - pose.shift
    distance, side = float(np.linalg.norm(away)), float(rng.choice([-1, 1]))
    smallest = (distance + keep_off) / 2 * config.voxel_spacing  # else the far wall cuts it
    radius = rng.uniform(max(VESICLE[0], smallest), VESICLE[1] + smallest)
    scene.add_membrane(
        everything,
        point=point,
        normal=side * away / distance,
        radius=radius,
        voxel_spacing=config.voxel_spacing,
    )


def _add_gold(
    everything: Array,
    pose: Pose,
    taken: float,
    config: SimulationConfig,
    rng: np.random.Generator,
) -> None:
    if rng.random() >= config.gold:
        return
    size = float(rng.choice(GOLD))
    scene.add_gold(
        everything,
        point=_beside(pose, taken + size / config.voxel_spacing, config, rng),
        radius=size,
        voxel_spacing=config.voxel_spacing,
    )


def _beside(
    pose: Pose, distance: float, config: SimulationConfig, rng: np.random.Generator
) -> Array:
    """(3,) voxels: a point in any direction, up to a quarter of the box farther than `distance`."""
    away: Array = pose.shift + _direction(rng) * (distance + rng.uniform(0, config.box / 4))
    return away


def _direction(rng: np.random.Generator) -> Array:
    """(3,) a unit vector, uniform on the sphere."""
    vector = rng.standard_normal(3)
    return vector / np.linalg.norm(vector)
