import mrcfile
import numpy as np
import pytest
from scipy import ndimage

from tomodistill.errors import InputError
from tomodistill.simulation import density_files
from tomodistill.simulation.convolution import rotate
from tomodistill.simulation.structures import Structure, load_structures, structures_digest


def write_map(path, data, spacing=10.0):
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(data.astype(np.float32))
        file.voxel_size = spacing
    return path


def blob(shape=(20, 22, 24), centre=(8, 12, 10), sigma=2.0):
    grid = np.indices(shape).T - np.array(centre)
    return np.exp(-0.5 * (grid**2).sum(-1) / sigma**2).T


@pytest.fixture
def folder(tmp_path):
    write_map(tmp_path / "b.mrc", blob())
    write_map(tmp_path / "a.map", blob() + blob(centre=(8, 12, 16)))
    return tmp_path


def pdb_line(serial, name, element, x, y, z):
    return (
        f"ATOM  {serial:5d}  {name:<3s} ALA A   1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00"
        f"          {element:>2s}\n"
    )


def load(folder, classes="all", voxel_spacing=10.0):
    return load_structures(str(folder), classes=classes, voxel_spacing=voxel_spacing)


def centre_of_mass(structure: Structure):
    return np.array(ndimage.center_of_mass(structure.density)) - structure.density.shape[0] // 2


def test_builtin_is_normalised_centred_and_sorted(structures):
    assert [s.name for s in structures] == ["groel", "p97", "rubisco"]
    for structure in structures:
        assert structure.density.max() == 1
        assert structure.density.min() >= 0
        assert structure.density.dtype == np.float32
        assert structure.density.shape[0] % 2 == 1
        assert np.abs(centre_of_mass(structure)).max() < 0.01


def test_folder_is_sorted_by_name(folder):
    assert [s.name for s in load(folder)] == ["a", "b"]


@pytest.mark.parametrize("spacing", [7.3, 10.0, 14.0])
def test_map_is_centred_at_any_spacing(folder, spacing):
    for structure in load(folder, voxel_spacing=spacing):
        assert np.abs(centre_of_mass(structure)).max() < 0.1


def test_resampling_keeps_size_in_angstroms(folder):
    coarse, fine = load(folder, voxel_spacing=14.0)[1], load(folder, voxel_spacing=5.0)[1]
    for structure in (coarse, fine):
        axis = np.arange(structure.density.shape[0]) - structure.density.shape[0] // 2
        weights = structure.density.sum(axis=(1, 2))
        width = np.sqrt(np.average(axis**2, weights=weights)) * structure.voxel_spacing
        assert width == pytest.approx(20.0, rel=0.04)  # sigma of 2 voxels of 10 Å


def test_frequencies_above_the_new_nyquist_are_removed():
    rng = np.random.default_rng(0)
    rough = np.zeros((60, 60, 60), np.float32)
    rough[10:50, 10:50, 10:50] = 1 + 0.5 * rng.standard_normal((40, 40, 40))
    coarse = density_files.resample(rough, spacing=5.0, target=20.0)
    centre = coarse.shape[0] // 2
    inside = coarse[centre - 3 : centre + 4, centre - 3 : centre + 4, centre - 3 : centre + 4]
    # Clipping lifts the mean a little. Picking every fourth voxel would leave a spread of 0.5;
    # a band limit of a quarter leaves about 0.5 x sqrt(4π/3 / 64 / 8) = 0.05.
    assert inside.mean() == pytest.approx(1.0, abs=0.05)
    assert inside.std() < 0.09


def test_negative_density_is_clipped(tmp_path):
    write_map(tmp_path / "a.mrc", blob() - 0.2)
    write_map(tmp_path / "b.mrc", blob())
    assert all(s.density.min() >= 0 for s in load(tmp_path))


def test_no_rotation_cuts(structures, rotations):
    for structure in structures:
        for rotation in rotations[:40]:
            assert rotate(structure, rotation).sum() == pytest.approx(
                structure.density.sum(), rel=0.01
            )


def test_padding_surrounds_the_support(folder):
    for structure in load(folder):
        shell = np.ones(structure.density.shape, bool)
        shell[2:-2, 2:-2, 2:-2] = False
        assert structure.density[shell].max() < density_files.SUPPORT


@pytest.mark.parametrize("spacing", [0.0, 1.0])
def test_map_without_a_believable_spacing(folder, spacing):
    write_map(folder / "c.mrc", blob(), spacing)
    with pytest.raises(InputError, match=r"voxel spacing.*c\.mrc"):
        load(folder)


def test_anisotropic_spacing(folder):
    write_map(folder / "c.mrc", blob(), (10.0, 10.0, 12.0))
    with pytest.raises(InputError, match=r"12 x 10 x 10"):
        load(folder)


def test_truncated_map(folder):
    path = folder / "b.mrc"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"b\.mrc"):
        load(folder)


@pytest.mark.parametrize("content", [b"", b"not a map", b"\0" * 2048])
def test_file_that_is_no_map(folder, content):
    (folder / "b.mrc").write_bytes(content)
    with pytest.raises(InputError, match=r"b\.mrc"):
        load(folder)


@pytest.mark.filterwarnings("ignore:Data array contains NaN values")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_map_that_is_not_finite(folder, value):
    data = blob()
    data[3, 3, 3] = value
    with pytest.warns(RuntimeWarning, match="contains|encountered"):
        write_map(folder / "b.mrc", data)
    with pytest.raises(InputError, match=r"b\.mrc.*not finite"):
        load(folder)


def test_map_without_density(folder):
    write_map(folder / "b.mrc", np.zeros((8, 8, 8)))
    with pytest.raises(InputError, match="no positive density"):
        load(folder)


def test_image_is_not_a_map(folder):
    write_map(folder / "b.mrc", np.ones((8, 8)))
    with pytest.raises(InputError, match=r"\(8, 8\)"):
        load(folder)


def test_missing_folder(tmp_path):
    with pytest.raises(InputError, match="not a folder"):
        load(tmp_path / "nowhere")


def test_empty_folder(tmp_path):
    (tmp_path / "readme.txt").write_text("no structures")
    with pytest.raises(InputError, match="none in"):
        load(tmp_path)


def test_unknown_class(folder):
    with pytest.raises(InputError, match=r"a, b; found 'zzz'"):
        load(folder, classes="a,zzz")


def test_one_class_is_too_few(folder):
    with pytest.raises(InputError, match="at least 2 classes"):
        load(folder, classes="a")


def test_two_files_of_one_name(folder):
    write_map(folder / "a.mrc", blob())
    with pytest.raises(InputError, match="several files named a"):
        load(folder)


def test_model_weighs_electrons_and_ignores_hydrogens_and_waters(tmp_path):
    atoms = [
        pdb_line(1, "C", "C", 0, 0, 0),
        pdb_line(2, "S", "S", 60, 0, 0),
        pdb_line(3, "H", "H", 0, 200, 0),
        pdb_line(4, "O", "O", 0, 0, 200).replace("ALA", "HOH"),
    ]
    (tmp_path / "a.pdb").write_text("".join(atoms) + "END\n")
    dense = density_files.read_model(tmp_path / "a.pdb", 10.0)
    # 6 and 16 electrons 60 Å apart along x, their centre of mass in the middle voxel.
    centre = dense.shape[0] // 2
    carbon = ndimage.center_of_mass(dense[..., : centre - 1])
    sulphur = ndimage.center_of_mass(dense[..., centre - 1 :])
    assert dense[..., centre - 1 :].sum() / dense[..., : centre - 1].sum() == pytest.approx(
        16 / 6, rel=0.05
    )
    assert sulphur[2] + centre - 1 - carbon[2] == pytest.approx(6.0, abs=0.3)


def test_model_without_atoms(folder):
    (folder / "c.pdb").write_text("HEADER    NOTHING\nEND\n")
    with pytest.raises(InputError, match=r"c\.pdb"):
        load(folder)


def test_digest_follows_name_spacing_and_density(structures):
    digest = structures_digest(structures)
    first, *rest = structures
    renamed = Structure("other", first.density, first.voxel_spacing)
    respaced = Structure(first.name, first.density, 9.0)
    brighter = Structure(first.name, first.density * np.float32(1.001), first.voxel_spacing)
    others = {structures_digest((s, *rest)) for s in (renamed, respaced, brighter)}
    assert len(digest) == 64
    assert digest not in others
    assert len(others) == 3
    same = Structure(first.name, first.density.copy(), first.voxel_spacing)
    assert structures_digest((same, *rest)) == digest


def test_real_maps(shared):
    loaded = load(shared / "maps")
    assert len(loaded) == 26
    sizes = {s.name: s.density.shape[0] for s in loaded}
    assert sizes["3qm1"] < 20 < 36 < sizes["5mrc"]
    assert all(np.abs(centre_of_mass(s)).max() < 0.2 for s in loaded)


def test_real_assembly_looks_like_the_builtin_one(shared, rotations):
    # The entry holds half of the complex and the operations that make it whole.
    atoms = density_files.read_model(shared / "pdb" / "1bxn.pdb", 10.0)
    rubisco, groel = load_structures("builtin", classes="rubisco,groel", voxel_spacing=10.0)[::-1]
    assert best_correlation(rubisco, atoms, rotations) > 0.85
    assert best_correlation(groel, atoms, rotations) < 0.7


def best_correlation(structure, target, rotations):
    edge = max(structure.density.shape[0], target.shape[0])
    fixed = np.pad(target, (edge - target.shape[0]) // 2)
    turned = (rotate(structure, rotation) for rotation in rotations)
    padded = (np.pad(t, (edge - t.shape[0]) // 2) for t in turned)
    return max(np.corrcoef(volume.ravel(), fixed.ravel())[0, 1] for volume in padded)
