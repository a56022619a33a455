import mrcfile
import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist
from scipy.spatial.transform import Rotation

from tomodistill.simulation import catalogue
from tomodistill.simulation.catalogue import COMPLEXES
from tomodistill.simulation.scene import rotate
from tomodistill.simulation.structures import Structure

ORDERS = {"T": 12, "O": 24, "I": 60}
ORDERS |= {f"C{fold}": fold for fold in (1, 2, 3, 6, 7)}
ORDERS |= {f"D{fold}": 2 * fold for fold in range(2, 9)}
every = pytest.mark.parametrize("entry", COMPLEXES, ids=lambda entry: entry.name)


def named(name):
    return next(entry for entry in COMPLEXES if entry.name == name)


def test_names_are_sorted_and_unique():
    names = [entry.name for entry in COMPLEXES]
    assert names == sorted(set(names))
    assert len(names) == 37


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
def test_no_bead_lies_apart(entry):
    distances = cKDTree(catalogue.positions(entry)).query(catalogue.positions(entry), k=2)[0]
    assert distances[:, 1].max() < 2.2 * catalogue.bead_radius(entry)


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
def test_outer_size_is_the_stated_one(entry):
    dense = catalogue.density(entry, 4.0)
    # Half the density of protein, 0.81 Da/Å³, is where a map would be contoured.
    z, y, x = (np.argwhere(dense > 0.5 * 0.81e-3 * 4.0**3) - dense.shape[0] // 2).T * 4.0
    if entry.symmetry == "C1":  # the widest view along z
        across = pdist(np.unique(np.stack([y, x], axis=1), axis=0)).max()
    else:
        across = np.ptp(x) if entry.symmetry in "TOI" else 2 * np.hypot(x, y).max()
    assert across + 4.0 == pytest.approx(entry.diameter, rel=0.1)
    # Thin complexes: the contour of the blurred map costs a voxel on either side.
    assert np.ptp(z) + 4.0 == pytest.approx(entry.height, rel=0.1, abs=9.0)


@every
def test_density_sums_to_the_mass(entry):
    assert catalogue.density(entry, 10.0).sum() == pytest.approx(entry.mass_kda, rel=0.005)


@pytest.mark.parametrize(
    "name",
    ["acr1", "apoferritin", "dps", "groel", "lumazine_synthase", "small_heat_shock_protein"],
)
def test_hollow_complexes_are_hollow(name):
    dense = catalogue.density(named(name), 5.0)
    centre = dense.shape[0] // 2
    assert dense[centre, centre, centre] < 0.02 * dense.max()


@pytest.mark.parametrize(
    "name", ["citrate_synthase", "enolase", "propionyl_coa_carboxylase", "reca", "transaldolase"]
)
def test_rings_have_a_hole_along_their_axis(name):
    dense = catalogue.density(named(name), 5.0)
    centre = dense.shape[0] // 2
    assert dense[:, centre, centre].max() < 0.1 * dense.max()


def test_channel_of_the_polymerase_is_27_angstroms_wide():
    entry = named("rna_polymerase")
    x, _, z = catalogue.positions(entry).T
    pincers = x[z > 20]  # above the floor of the channel
    gap = pincers[pincers > 0].min() - pincers[pincers < 0].max()
    assert gap - 2 * catalogue.bead_radius(entry) == pytest.approx(27, abs=5)


def test_each_complex_has_others_of_its_size():
    # Radius of gyration within 10 %: size alone does not name a complex.
    size = np.array([np.sqrt((catalogue.positions(c) ** 2).sum(1).mean()) for c in COMPLEXES])
    neighbours = (np.abs(size[:, None] / size - 1) < 0.1).sum(1) - 1
    assert np.mean(neighbours >= 2) > 0.8


def test_no_two_complexes_have_one_shape():
    # Cosine of two densities at a voxel of 10 Å: overlaps of Gaussians, so without a grid.
    beads = [catalogue.positions(entry).astype(np.float32) for entry in COMPLEXES]
    variance = [catalogue.bead_radius(entry) ** 2 / 5 + 5.0**2 for entry in COMPLEXES]
    itself = [overlap(b, b, 2 * v) for b, v in zip(beads, variance, strict=True)]
    turns = Rotation.random(200, rng=np.random.default_rng(0)).as_matrix().astype(np.float32)
    for i, entry in enumerate(COMPLEXES):
        turned = beads[i] @ turns
        for j in range(i):
            shared = overlap(turned, beads[j], variance[i] + variance[j]).max()
            cosine = shared / np.sqrt(itself[i] * itself[j])
            assert cosine < 0.85, (entry.name, COMPLEXES[j].name)


def overlap(a, b, variance):
    squares = (a**2).sum(-1)[..., :, None] + (b**2).sum(-1) - 2 * a @ b.T
    return np.exp(-0.5 * squares / variance).mean((-1, -2)) / variance**1.5


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("apoferritin", "6pxm"),
        ("proteasome_20s", "3j9i"),
        ("proteasome_pa26", "3ipm"),
        ("ribosome_50s", "4v4r_50S"),
    ],
)
def test_models_look_like_the_real_maps(shared, name, file):
    entry = named(name)
    with mrcfile.open(shared / "maps" / f"{file}.mrc") as stored:
        real = ndimage.gaussian_filter(np.clip(stored.data, 0, None), 0.5)  # voxels of 10 Å
    points = 10.0 * np.argwhere(real > 0.02 * real.max())[:, ::-1]
    weights = real[real > 0.02 * real.max()]
    points = points - np.average(points, axis=0, weights=weights)
    if name != "apoferritin":  # which lies along its axes, and has no longest one
        frame = np.linalg.eigh((points.T * weights) @ points)[1]
        points = points @ (frame * np.sign(np.linalg.det(frame)))
    turns = [
        Rotation.from_euler("zx", (spin, tip), degrees=True)
        for spin in range(0, 360, 4)
        for tip in (0, 180)
    ]
    best = max(np.corrcoef(values(entry, turn.apply(points)), weights)[0, 1] for turn in turns)
    assert best > 0.86  # the ribosome's mirror image: 0.71


def values(entry, points):
    variance = catalogue.bead_radius(entry) ** 2 / 5 + 2 * 5.0**2
    distance, _ = cKDTree(catalogue.positions(entry)).query(
        points, k=6, distance_upper_bound=3.5 * np.sqrt(variance)
    )
    return np.exp(-0.5 * distance**2 / variance).sum(1)
