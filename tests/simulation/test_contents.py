from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tomodistill.simulation.config import SimulationConfig
from tomodistill.simulation.contents import draw_pose, fill_box
from tomodistill.simulation.structures import extent

CONFIG = SimulationConfig(box=40, none=1.0)
EDGE = 60


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


def test_neighbours_keep_off_the_particle(structures):
    radius = extent(structures[0]) / 2 / 10.0
    axis = np.arange(EDGE) - EDGE // 2
    for box in boxes(structures, 0, 15, neighbours=1.0, shift=0.0):
        z, y, x = (each - at for each, at in zip([axis] * 3, box.pose.shift, strict=True))
        inside = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 < (radius - 1) ** 2
        # What the spline spreads beyond a particle's extent is below a tenth of its contrast.
        assert np.abs(box.scene - box.particle)[inside].max() < 0.25


def test_class_none_holds_no_particle(structures):
    for box in boxes(structures, 3, 10, debris=0.0):
        assert not box.scene.any()
        assert box.particle.any()  # one that would have been there: it sets the noise


def test_debris_is_like_a_particle_in_mass_but_like_none_in_shape(structures):
    made = boxes(structures, 3, 40, debris=1.0)
    masses = [structure.density.sum() for structure in structures]
    debris = [box.scene.sum() for box in made]
    assert np.mean(debris) == pytest.approx(np.mean(masses), rel=0.2)
    assert min(debris) > 0.2 * min(masses)


def test_debris_has_its_share(structures):
    made = boxes(structures, 3, 100, debris=0.4)
    assert np.mean([box.scene.any() for box in made]) == pytest.approx(0.4, abs=0.12)
