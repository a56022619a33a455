import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from tomodistill.simulation import catalogue
from tomodistill.simulation.catalogue import COMPLEXES
from tomodistill.simulation.convolution import rotate
from tomodistill.simulation.structures import Structure

ORDERS = {"C3": 3, "C6": 6, "C7": 7, "T": 12, "O": 24, "I": 60}
ORDERS |= {f"D{fold}": 2 * fold for fold in range(2, 9)}
every = pytest.mark.parametrize("entry", COMPLEXES, ids=lambda entry: entry.name)


def test_names_are_sorted_and_unique():
    names = [entry.name for entry in COMPLEXES]
    assert names == sorted(set(names))
    assert len(names) == 23  # as many as the paper has classes


@every
def test_beads_are_group_order_times_unit(entry):
    order = ORDERS[entry.symmetry]
    assert len(catalogue.positions(entry)) == order * len(entry.beads)
    assert entry.subunits % order == 0


@every
def test_no_two_beads_coincide(entry):
    distances = cKDTree(catalogue.positions(entry)).query(catalogue.positions(entry), k=2)[0]
    assert distances[:, 1].min() > 0.5 * catalogue.bead_radius(entry)


@every
def test_beads_are_invariant_under_the_group(entry):
    beads = catalogue.positions(entry)
    tree = cKDTree(beads)
    for operation in Rotation.create_group(entry.symmetry):
        assert tree.query(operation.apply(beads))[0].max() < 1e-6


@every
def test_density_is_invariant_under_the_group(entry):
    dense = Structure(entry.name, catalogue.density(entry, 6.0), 6.0)
    for operation in Rotation.create_group(entry.symmetry)[1:4]:
        difference = rotate(dense, operation) - dense.density
        assert np.abs(difference).max() < 0.03 * dense.density.max()


@every
def test_outer_size_is_the_published_one(entry):
    dense = catalogue.density(entry, 4.0)
    # Half the density of protein, 0.81 Da/Å³, is where a map would be contoured.
    z, y, x = (np.argwhere(dense > 0.5 * 0.81e-3 * 4.0**3) - dense.shape[0] // 2).T * 4.0
    across = np.ptp(z) if entry.symmetry in "TOI" else 2 * np.hypot(x, y).max()
    assert across + 4.0 == pytest.approx(entry.diameter, rel=0.1)
    # Thin complexes: the contour of the blurred map costs a voxel on either side.
    assert np.ptp(z) + 4.0 == pytest.approx(entry.height, rel=0.1, abs=9.0)


@every
def test_density_sums_to_the_mass(entry):
    assert catalogue.density(entry, 10.0).sum() == pytest.approx(entry.mass_kda, rel=0.005)


def test_hollow_complexes_are_hollow():
    for name in ("apoferritin", "lumazine_synthase", "small_heat_shock_protein", "dps", "groel"):
        dense = catalogue.density(next(c for c in COMPLEXES if c.name == name), 5.0)
        centre = dense.shape[0] // 2
        assert dense[centre, centre, centre] < 0.02 * dense.max()


def test_each_complex_has_others_of_its_size():
    # Radius of gyration within 10 %: size alone does not name a complex.
    size = np.array([np.sqrt((catalogue.positions(c) ** 2).sum(1).mean()) for c in COMPLEXES])
    neighbours = (np.abs(size[:, None] / size - 1) < 0.1).sum(1) - 1
    assert np.mean(neighbours >= 2) > 0.8
