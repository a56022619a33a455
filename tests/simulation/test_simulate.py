from dataclasses import replace

import numpy as np
import pytest

from tomodistill.simulation import noise
from tomodistill.simulation.config import Range, SimulationConfig
from tomodistill.simulation.plan import PlanItem
from tomodistill.simulation.simulate import maker, simulate
from tomodistill.simulation.structures import load_structures

CONFIG = SimulationConfig(items=15, box=24, tilt_step=6.0, snr=Range(0.5, 0.5))
DIRTY = {"neighbours": 1.0, "membranes": 0.5, "gold": 0.5, "none": 1.0}


# The signal-to-noise ratio is the one asked for, over a grid of what it may depend on


@pytest.mark.parametrize("snr", [0.05, 0.5, 2.0])
@pytest.mark.parametrize("tilts", [(-60.0, 60.0), (-76.0, 47.0), (-40.0, 40.0)])
@pytest.mark.parametrize("box", [24, 33])
def test_every_box_of_a_convolution_has_the_snr_asked_for(structures, snr, tilts, box):
    config = replace(
        CONFIG,
        recipe="convolution",
        snr=Range(snr, snr),
        box=box,
        tilt_min=tilts[0],
        tilt_max=tilts[1],
    )
    simulator = maker(config, structures)()
    for item in (PlanItem(label, "test", 0) for label in range(3)):
        measured = noise.snr(simulator.particle(item), simulator.parts(item).noise)
        assert measured == pytest.approx(snr, rel=0.05)


@pytest.mark.parametrize(  # each value with each box, and neighbours in other company there
    ("label", "snr", "tilts", "box"),
    [
        (0, 0.05, (-60.0, 60.0), 24),
        (1, 0.5, (-76.0, 47.0), 24),
        (2, 2.0, (-40.0, 40.0), 24),
        (0, 2.0, (-76.0, 47.0), 33),
        (1, 0.05, (-40.0, 40.0), 33),
        (2, 0.5, (-60.0, 60.0), 33),
    ],
)
def test_a_tilt_series_has_the_snr_asked_for_in_the_mean(structures, label, snr, tilts, box):
    """Measured in finished volumes: what is not the particle is noise."""
    config = replace(
        CONFIG, snr=Range(snr, snr), box=box, tilt_min=tilts[0], tilt_max=tilts[1], shift=0.0
    )
    simulator = maker(config, (structures[label],))()
    items = [PlanItem(0, "test", index) for index in range(150)]
    particles = [simulator.particle(item) for item in items]
    noise = [
        simulator(item).volume - particle
        for item, particle in zip(items[:16], particles, strict=False)
    ]
    measured = np.mean(np.var(particles, axis=(1, 2, 3))) / np.mean(np.var(noise, axis=(1, 2, 3)))
    assert measured == pytest.approx(snr, rel=0.05)


def test_dirt_does_not_change_the_noise(structures):
    """The particle's own signal sets it: a neighbour or a bead of gold is no reason for more."""
    for recipe in ("convolution", "tilt_series"):
        config = replace(CONFIG, recipe=recipe, **DIRTY)
        simulator = maker(config, structures)()
        ratios = [
            noise.snr(simulator.particle(item), simulator.parts(item).noise)
            for item in (PlanItem(index % 3, "test", index) for index in range(24))
        ]
        assert np.median(ratios) == pytest.approx(0.5, rel=0.25)
        if recipe == "convolution":
            assert ratios == pytest.approx([0.5] * 24, rel=0.08)


def test_a_tilt_series_has_one_noise_level_and_a_convolution_has_many(structures):
    sizes = {}
    for recipe in ("convolution", "tilt_series"):
        simulator = maker(replace(CONFIG, recipe=recipe), structures)()
        parts = [simulator.parts(PlanItem(i % 3, "test", i)) for i in range(12)]
        sizes[recipe] = np.array([part.noise.std() for part in parts])
    assert np.ptp(sizes["tilt_series"]) < 0.08 * sizes["tilt_series"].mean()
    assert np.ptp(sizes["convolution"]) > 0.2 * sizes["convolution"].mean()


@pytest.mark.parametrize("recipe", ["convolution", "tilt_series"])
def test_empty_boxes_have_the_noise_of_the_others(structures, recipe):
    simulator = maker(replace(CONFIG, recipe=recipe, none=1.0, debris=0.0), structures)()
    empty, full = (
        [simulator.parts(PlanItem(label(i), "test", i)) for i in range(60)]
        for label in (lambda i: 3, lambda i: i % 3)
    )
    assert not any(part.signal.any() for part in empty)
    sizes = [np.mean([np.var(part.noise) for part in parts]) for parts in (empty, full)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.2 if recipe == "convolution" else 0.02)


def test_snr_of_a_range_is_drawn_for_each_item(structures):
    config = replace(CONFIG, snr=Range(0.1, 2.0), items=60)
    made = list(simulate(config, structures, workers=1))
    drawn = np.array([item.snr for item in made])
    assert 0.1 <= drawn.min() < 0.15
    assert 1.4 < drawn.max() <= 2.0
    loud = [item.volume.std() for item in made if item.snr < 0.2]
    quiet = [item.volume.std() for item in made if item.snr > 1.0]
    assert np.mean(loud) > 1.5 * np.mean(quiet)


# The set


@pytest.mark.parametrize("recipe", ["convolution", "tilt_series"])
def test_finished_volume_is_signal_plus_noise(structures, recipe):
    config = replace(CONFIG, recipe=recipe)
    item = next(iter(simulate(config, structures, workers=1)))
    parts = maker(config, structures)().parts(PlanItem(item.label, item.split, item.index))
    assert item.volume == pytest.approx(parts.signal + parts.noise, abs=1e-6)
    assert item.volume.dtype == np.float32
    assert np.array_equal(item.quaternion, parts.pose.rotation.as_quat())
    assert np.array_equal(item.shift, parts.pose.shift)
    assert item.defocus == parts.exposure.defocus


@pytest.mark.parametrize("recipe", ["convolution", "tilt_series"])
def test_parts_come_with_the_particle_of_the_same_box(structures, recipe):
    simulator = maker(replace(CONFIG, recipe=recipe, **DIRTY), structures)()
    for item in (PlanItem(label, "test", label) for label in range(4)):
        parts, particle = simulator.parts_and_particle(item)
        assert np.array_equal(particle, simulator.particle(item))
        assert np.array_equal(parts.signal, simulator.parts(item).signal)
        assert np.array_equal(parts.noise, simulator.parts(item).noise)
        assert not np.array_equal(parts.signal, particle)  # there is dirt


def test_sets_of_one_name_have_the_same_poses(structures):
    wide, narrow = CONFIG, replace(CONFIG, tilt_max=40.0)
    item = PlanItem(1, "test", 0)

    def pose(config, name=None):
        return maker(config, structures, name=name)().parts(item).pose

    assert np.array_equal(pose(wide, "one").shift, pose(narrow, "one").shift)
    assert not np.allclose(pose(wide, "one").shift, pose(wide, "other").shift)
    assert not np.allclose(pose(wide).shift, pose(narrow).shift)


@pytest.mark.parametrize("recipe", ["convolution", "tilt_series"])
def test_any_number_of_workers_makes_the_same_bytes(structures, recipe):
    config = replace(CONFIG, recipe=recipe, items=36, **DIRTY)
    alone, together = (list(simulate(config, structures, workers=n)) for n in (1, 2))
    assert len(alone) == len(together) == 36
    for a, b in zip(alone, together, strict=True):
        assert (a.label, a.split, a.index, a.seed) == (b.label, b.split, b.index, b.seed)
        assert a.volume.tobytes() == b.volume.tobytes()
        assert a.quaternion.tobytes() == b.quaternion.tobytes()


def test_a_set_can_be_continued_from_any_item(structures):
    whole = list(simulate(CONFIG, structures, workers=1))
    rest = list(simulate(CONFIG, structures, workers=1, start=9))
    assert len(rest) == len(whole) - 9
    for a, b in zip(whole[9:], rest, strict=True):
        assert a.volume.tobytes() == b.volume.tobytes()


def test_sets_share_no_item(structures):
    made = [
        list(simulate(config, structures, workers=1))
        for config in (CONFIG, replace(CONFIG, seed=1), replace(CONFIG, snr=Range(0.4, 0.4)))
    ]
    seeds = [item.seed for items in made for item in items]
    assert len(set(seeds)) == len(seeds) == 45
    assert not np.allclose(made[0][0].volume, made[1][0].volume)


def test_real_maps(shared):
    source = str(shared / "maps")
    chosen = load_structures(source, classes="1bxn,4v4r,5mrc", voxel_spacing=13.0)
    config = replace(CONFIG, structures=source, voxel_spacing=13.0, items=16, **DIRTY)
    items = list(simulate(config, chosen, workers=1))
    assert len(items) == 16
    assert all(np.isfinite(item.volume).all() for item in items)
