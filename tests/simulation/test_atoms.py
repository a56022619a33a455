import gzip

import gemmi
import numpy as np
import pytest
from scipy import constants, ndimage

from tests.simulation.structure_files import dimer, mmcif, pdb_line, row
from tomodistill.errors import InputError
from tomodistill.simulation.atoms import FALL_OFF, VOLTS, potential, read_model, scattering_factors
from tomodistill.simulation.scene import rotate
from tomodistill.simulation.structures import load_structures

ELEMENTS = {"H": 1, "C": 6, "N": 7, "O": 8, "P": 15, "S": 16}


@pytest.fixture
def read(tmp_path):
    """Reads a PDB file of these lines."""

    def reader(*lines):
        (tmp_path / "a.pdb").write_text("".join([*lines, "END\n"]))
        return read_model(tmp_path / "a.pdb", 10.0)

    return reader


def factor(element):
    return scattering_factors()[ELEMENTS[element]]


def test_the_constant_takes_scattering_factors_to_volts():
    joule = constants.h**2 / (2 * np.pi * constants.m_e * constants.e)  # V m²
    assert pytest.approx(joule * 1e20, rel=1e-5) == VOLTS


def test_one_carbon_has_its_scattering_factor_at_frequency_zero():
    # The sum of the amplitudes that Peng et al. 1996 fit for carbon, in Å.
    assert factor("C") == pytest.approx(0.0893 + 0.2563 + 0.7570 + 1.0487 + 0.3575, rel=1e-6)
    volts = potential(np.zeros((1, 3)), np.array([factor("C")]), spacing=2.0, blur=3.0)
    assert volts.sum() * 2.0**3 == pytest.approx(120.12, rel=1e-4)  # V Å³: 47.878 x 2.5088


@pytest.mark.parametrize(
    ("element", "ratio"), [("N", 0.882), ("O", 0.791), ("P", 2.187), ("S", 2.057), ("H", 0.211)]
)
def test_factors_relative_to_carbon(element, ratio):
    """By electrons they would be 1.17, 1.33, 2.5, 2.67 and 0.17."""
    assert factor(element) / factor("C") == pytest.approx(ratio, abs=0.001)


@pytest.mark.parametrize("resolution", [14.0, 20.0, 28.0])
def test_factors_are_flat_at_the_resolution_of_a_tomogram(resolution):
    for number in (6, 7, 8, 15, 16):
        at = gemmi.Element(number).c4322.calculate_sf((0.5 / resolution) ** 2)
        assert at / scattering_factors()[number] > 1 - 0.03 * (14 / resolution) ** 2


@pytest.mark.parametrize(("resolution", "within"), [(14.0, 0.01), (6.0, 0.042), (4.0, 0.101)])
def test_the_mean_fall_off_fits_every_element(resolution, within):
    square = (0.5 / resolution) ** 2
    for number in (6, 7, 8, 15, 16):
        at = gemmi.Element(number).c4322.calculate_sf(square) / scattering_factors()[number]
        assert at / np.exp(-FALL_OFF * square) == pytest.approx(1.0, abs=within)


def test_an_atom_is_as_wide_as_blur_and_fall_off_together():
    volts = potential(np.zeros((1, 3)), np.ones(1), spacing=0.1, blur=0.5)
    axis, profile = 0.1 * np.arange(volts.shape[0]), volts.sum(axis=(1, 2))
    variance = np.average(axis**2, weights=profile) - np.average(axis, weights=profile) ** 2
    assert variance == pytest.approx(0.5**2 + FALL_OFF / (8 * np.pi**2), rel=0.01)


@pytest.mark.parametrize("far", [3e4, 1e6, 1e300, np.inf, np.nan])
def test_atoms_too_far_apart_for_a_grid(tmp_path, far):
    structure = dimer(assemblies=())
    structure[0][0][0][0].pos = gemmi.Position(0, far, 0.5 * far)
    (tmp_path / "a.cif").write_bytes(mmcif(structure))
    with pytest.raises(InputError, match=r"atomic model in .*a\.cif; found atoms spread over"):
        read_model(tmp_path / "a.cif", 10.0)


def test_a_line_of_atoms_too_long_for_a_cube(read):
    far = pdb_line(1, "C", "C", 0, 0, 0), pdb_line(2, "C", "C", 9000, 0, 0)
    with pytest.raises(InputError, match=r"a\.pdb; found a particle across \d+ voxels of 10 Å"):
        read(*far)


def test_atoms_lie_where_they_are_and_weigh_their_factors(read):
    density = read(pdb_line(1, "C", "C", 0, 0, 0), pdb_line(2, "S", "S", 60, 0, 0))
    # 60 Å apart along x, their centre of mass in the middle voxel.
    centre = density.shape[0] // 2
    carbon, sulphur = density[..., : centre - 1], density[..., centre - 1 :]
    assert sulphur.sum() / carbon.sum() == pytest.approx(2.057, rel=0.05)
    apart = ndimage.center_of_mass(sulphur)[2] + centre - 1 - ndimage.center_of_mass(carbon)[2]
    assert apart == pytest.approx(6.0, abs=0.1)


def test_hydrogens_and_waters_do_not_count(read):
    protein = [pdb_line(i, "C", "C", 20 * i, 0, 0) for i in range(3)]
    others = [
        pdb_line(4, "H", "H", 0, 200, 0),
        pdb_line(5, "D", "D", 0, -200, 0),
        pdb_line(6, "O", "O", 0, 0, 200, residue="HOH"),
    ]
    assert np.array_equal(read(*protein, *others), read(*protein))


def test_alternate_conformations_share_an_atom(read):
    fixed = pdb_line(1, "CA", "C", 0, 0, 0)
    half, other = (
        pdb_line(2, "S", "S", 60, 0, 0, altloc=name, occupancy=0.5) for name in ("A", "B")
    )
    assert np.array_equal(read(fixed, half, other), read(fixed, pdb_line(2, "S", "S", 60, 0, 0)))
    density = read(fixed, half)
    centre = density.shape[0] // 2
    ratio = density[..., centre:].sum() / density[..., :centre].sum()
    assert ratio == pytest.approx(0.5 * 2.057, rel=0.07)  # clipped ripples add a little


def test_of_several_models_the_first_counts(read):
    first, second = (pdb_line(1, "C", "C", 0, 0, 0), pdb_line(1, "C", "C", 70, 0, 0))
    other = pdb_line(2, "O", "O", 30, 0, 0)
    ensemble = [
        "MODEL        1\n",
        first,
        other,
        "ENDMDL\n",
        "MODEL        2\n",
        second,
        "ENDMDL\n",
    ]
    assert np.array_equal(read(*ensemble), read(first, other))


@pytest.mark.parametrize("assemblies", [("1", "2"), ("2", "1")])
def test_the_assembly_named_1_is_built(tmp_path, read, assemblies):
    (tmp_path / "a.cif").write_bytes(mmcif(dimer(assemblies=assemblies)))
    assert np.array_equal(read_model(tmp_path / "a.cif", 10.0), read(*row(), *row(10, 60.0)))


def test_without_an_assembly_it_is_the_model_as_deposited(tmp_path, read):
    (tmp_path / "a.cif").write_bytes(mmcif(dimer(assemblies=())))
    assert np.array_equal(read_model(tmp_path / "a.cif", 10.0), read(*row()))


@pytest.mark.parametrize("name", ["b.pdb", "b.ent", "b.cif", "b.mmcif", "b.PDB"])
def test_every_format_also_compressed(tmp_path, name):
    (tmp_path / "a.cif").write_bytes(mmcif(dimer()))
    structure = dimer()
    content = mmcif(structure) if "cif" in name else structure.make_pdb_string().encode()
    (tmp_path / name).write_bytes(content)
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    plain = read_model(tmp_path / name, 10.0)
    assert np.allclose(plain, read_model(tmp_path / "a.cif", 10.0), atol=1e-5)
    assert np.array_equal(plain, read_model(tmp_path / f"{name}.gz", 10.0))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pdb", b"HEADER    NOTHING\nEND\n"),
        ("a.pdb", b""),
        ("a.pdb", pdb_line(1, "O", "O", 0, 0, 0, residue="HOH").encode()),
        ("a.pdb", pdb_line(1, "C", "C", 0, 0, 0, occupancy=0.0).encode()),
        ("a.cif", b"data_1ABC\n_entry.id 1ABC\n"),
        ("a.cif", b"<html>not found</html>"),
        ("a.cif", mmcif(dimer())[:-200]),
        ("a.cif.gz", b"not gzip"),
        ("a.cif.gz", gzip.compress(mmcif(dimer()), mtime=0)[:-200]),
        ("a.cif.bz2", b"BZh9"),
    ],
)
def test_what_is_no_model(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"atomic model in .*{name}"):
        read_model(tmp_path / name, 10.0)


def test_real_assembly_looks_like_the_builtin_one(shared, rotations):
    # The entry holds half of the complex and the operations that make it whole.
    atoms = read_model(shared / "pdb" / "1bxn.pdb", 10.0)
    rubisco, groel = load_structures("builtin", classes="rubisco,groel", voxel_spacing=10.0)[::-1]
    assert best_correlation(rubisco, atoms, rotations) > 0.85
    assert best_correlation(groel, atoms, rotations) < 0.7


def best_correlation(structure, target, rotations):
    edge = max(structure.density.shape[0], target.shape[0])
    fixed = np.pad(target, (edge - target.shape[0]) // 2)
    turned = (rotate(structure, rotation) for rotation in rotations)
    padded = (np.pad(t, (edge - t.shape[0]) // 2) for t in turned)
    return max(np.corrcoef(volume.ravel(), fixed.ravel())[0, 1] for volume in padded)
