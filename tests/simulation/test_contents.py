from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tomodistill.simulation.config import SimulationConfig
from tomodistill.simulation.contents import draw_pose, fill_box

CONFIG = SimulationConfig(box=40, none=1.0)
EDGE = 60
PLANES = [(1, 2), (0, 2), (0, 1)]


def rng(seed=0):
    return np.random.default_rng(seed)


def boxes(structures, label, count, **changes):
    config = replace(CONFIG, **changes)
    generator = rng()
    return [
        fill_box(structures, label, config=config, edge=EDGE, rng=generator) for _ in range(count)
    ]


def share_with_more(made):
    return np.mean([not np.array_equal(box.scene, box.particle) for box in made])


def test_rotations_are_haar():
    generator = rng()
    rotations = [draw_pose(CONFIG, generator).rotation for _ in range(2000)]
    for axis in np.eye(3):
        tops = np.array([rotation.apply(axis) for rotation in rotations])
        for component in tops.T:  # uniform on the sphere: every coordinate is uniform
            assert stats.kstest(component, stats.uniform(-1, 2).cdf).pvalue > 0.01
    # The angle of a Haar rotation has the density (1 - cos a) / pi, not a flat one.
    angles = np.array([rotation.magnitude() for rotation in rotations])
    assert stats.kstest(angles, lambda a: (a - np.sin(a)) / np.pi).pvalue > 0.01


def test_shift_fills_its_range():
    generator = rng()
    shifts = np.array([draw_pose(CONFIG, generator).shift for _ in range(1000)])
    assert 1.95 < np.abs(shifts).max() <= 2.0
    assert np.abs(shifts.mean(axis=0)).max() < 0.15


def test_off_centre_particles_have_their_share():
    generator, config = rng(), replace(CONFIG, off_centre=0.3)
    shifts = np.array([draw_pose(config, generator).shift for _ in range(2000)])
    assert 9.5 < np.abs(shifts).max() <= 10.0
    # Within ±2 along all three axes by chance: (2/10)³ of them.
    far = (np.abs(shifts).max(axis=1) > 2).mean()
    assert far == pytest.approx(0.3 * (1 - 0.2**3), abs=0.03)


def test_a_clean_box_holds_the_particle_alone(structures):
    for label in range(3):
        for box in boxes(structures, label, 5):
            assert np.array_equal(box.scene, box.particle)
            mass = structures[label].density.sum()
            assert box.scene.sum() == pytest.approx(mass, rel=0.02)


@pytest.mark.parametrize("what", ["neighbours", "membranes", "gold"])
def test_what_else_lies_in_a_box_has_its_share(structures, what):
    # What lies beyond the scene is not seen: the share in it is a little smaller.
    assert share_with_more(boxes(structures, 0, 10, **{what: 0.0})) == 0
    assert share_with_more(boxes(structures, 0, 10, **{what: 1.0})) >= 0.9
    assert share_with_more(boxes(structures, 0, 80, **{what: 0.5})) == pytest.approx(0.47, abs=0.15)


@pytest.mark.parametrize("what", ["neighbours", "membranes", "gold"])
def test_everything_keeps_off_the_particle(structures, what):
    radius = structures[0].radius
    axis = np.arange(EDGE) - EDGE // 2
    for box in boxes(structures, 0, 40, shift=0.0, **{what: 1.0}):
        z, y, x = (each - at for each, at in zip([axis] * 3, box.pose.shift, strict=True))
        inside = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 < (radius - 1) ** 2
        # What the spline spreads beyond a particle's extent is below a tenth of its contrast.
        assert np.abs(box.scene - box.particle)[inside].max() < 0.25


def test_neighbours_keep_off_each_other(structures):
    """Two that collided would be twice as dense where they do."""
    densest = max(structure.density.max() for structure in structures)
    for box in boxes(structures, 0, 60, neighbours=1.0):
        assert box.scene.max() < 1.15 * densest


def test_particles_lie_within_vesicles_and_outside_of_them(structures):
    """By the side to which the wall bends: its mean is nearer to the centre of its vesicle."""
    bends = []
    for box in boxes(structures, 0, 40, membranes=1.0):
        wall = box.scene - box.particle
        axis = np.arange(EDGE) - EDGE // 2
        if wall.sum() > 1:
            mean = [np.average(axis, weights=wall.sum(axis=others)) for others in PLANES]
            bends.append(np.linalg.norm(mean))
    # A wall round the particle has its mean near it, a wall that bends away has it far off.
    assert min(bends) < 8
    assert max(bends) > 16


def test_gold_is_much_denser_than_protein(structures):
    for box in boxes(structures, 0, 20, gold=1.0):
        beads = (box.scene - box.particle).max()
        assert beads == 0 or 5 < beads < 10 or beads < box.scene.max()
    assert max(box.scene.max() for box in boxes(structures, 0, 20, gold=1.0)) > 5


def test_class_none_holds_no_particle(structures):
    for box in boxes(structures, 3, 10, debris=0.0):
        assert not box.scene.any()
        assert box.particle.any()  # one that would have been there: it sets the noise


def test_debris_has_the_mass_of_a_particle_and_another_shape(structures):
    made = boxes(structures, 3, 40, debris=1.0)
    for box in made:
        assert box.scene.sum() == pytest.approx(box.particle.sum(), rel=0.5)
        assert np.corrcoef(box.scene.ravel(), box.particle.ravel())[0, 1] < 0.95
    masses = [box.scene.sum() / box.particle.sum() for box in made]
    assert np.mean(masses) == pytest.approx(1.0, abs=0.05)


def test_debris_has_its_share(structures):
    made = boxes(structures, 3, 100, debris=0.4)
    assert np.mean([box.scene.any() for box in made]) == pytest.approx(0.4, abs=0.12)
