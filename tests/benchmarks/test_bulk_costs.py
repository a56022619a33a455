"""The model of what bulk classification costs, against pages that are counted one by one."""

import importlib
from itertools import product
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def model(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("bulk_costs_model")


def counted(shape, itemsize, edge, centres, window):
    """Bytes of all windows that boxes at these corners touch."""
    touched = set()
    for corner in centres:
        for z, y in product(range(edge), range(edge)):
            row = (corner[0] + z) * shape[1] + corner[1] + y
            first = itemsize * (row * shape[2] + corner[2])
            last = first + itemsize * edge - 1
            touched |= set(range(first // window, last // window + 1))
    return window * len(touched)


@pytest.mark.parametrize("itemsize", [2, 4])
@pytest.mark.parametrize("particles", [1, 20, 400])
def test_pages_read_of_a_tomogram_are_those_its_boxes_touch(model, itemsize, particles):
    shape, edge, window = (60, 96, 1024), 8, 4096
    rng = np.random.default_rng(particles)
    rounds = [
        counted(
            shape, itemsize, edge, rng.integers(np.array(shape) - edge, size=(particles, 3)), window
        )
        for _ in range(max(40 // particles, 1))
    ]
    said = model.Tomograms(shape, particles, edge, itemsize=itemsize, window=window)
    assert said.bytes_each * particles == pytest.approx(np.mean(rounds), rel=0.1)


def test_read_ahead_makes_a_lone_box_as_dear_as_the_sections_it_spans(model):
    shape, section = (300, 720, 1000), 4 * 720 * 1000
    paged, ahead = (
        model.Tomograms(shape, 1, 40, window=window).bytes_each for window in (4096, 2**23)
    )
    assert paged == pytest.approx(40 * (39 * 4000 + 160 + 4095))  # a row is a page, about
    assert ahead == pytest.approx(39 * section + 2**23, rel=0.01)


def test_a_full_tomogram_is_read_once_and_boxes_each(model):
    tomogram = model.Tomograms((300, 720, 1000), 5000, 40)
    assert tomogram.bytes_each == pytest.approx(tomogram.bytes_whole / 5000)
    assert model.Boxes(40).bytes_each == 256_000 == 2 * model.Boxes(40, itemsize=2).bytes_each


def test_a_job_is_as_slow_as_the_slower_of_storage_and_computing(model):
    costs = model.Costs(particle=1e-3, shard=0.5, start=3.0, merging=1e-6)
    computing = model.predict(
        10_000, model.Boxes(40), costs, model.Site(4, bandwidth=1e9), shard=1000
    )
    assert computing.computing == pytest.approx(3 * 1.5)  # ten shards: the third round is not full
    assert computing.storage == pytest.approx(2.56)
    assert (computing.limit, computing.total) == ("computing", pytest.approx(4.5 + 3.01))
    slower = model.predict(
        10_000, model.Boxes(40), costs, model.Site(4, bandwidth=2.56e8), shard=1000
    )
    assert (slower.limit, slower.total) == ("storage", pytest.approx(10 + 3.01))


def test_a_job_of_less_than_a_shard_takes_no_longer_than_it(model):
    costs = model.Costs(particle=1e-3, shard=0.5)
    times = model.predict(10, model.Boxes(40), costs, model.Site(8, bandwidth=1e12), shard=1000)
    assert times.total == pytest.approx(0.51)
