import gzip
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from tests.simulation.structure_files import blob, dimer, lopsided, mmcif, write_map
from tomodistill.errors import InputError
from tomodistill.simulation import archive, catalogue, structures
from tomodistill.simulation.scene import rotate
from tomodistill.simulation.structures import (
    Structure,
    extent,
    load_structures,
    structures_digest,
)


@pytest.fixture
def folder(tmp_path):
    write_map(tmp_path / "b.mrc", blob())
    write_map(tmp_path / "a.map", lopsided())
    return tmp_path


def load(folder, classes="all", voxel_spacing=10.0, **options):
    return load_structures(str(folder), classes=classes, voxel_spacing=voxel_spacing, **options)


def contrast(structure):
    """Mass-weighted mean density."""
    density = structure.density.astype(np.float64)
    return (density**2).sum() / density.sum()


def centre_of_mass(structure):
    return np.array(ndimage.center_of_mass(structure.density)) - structure.density.shape[0] // 2


def test_builtin_is_normalised_centred_and_sorted():
    loaded = load("builtin")
    assert [s.name for s in loaded] == sorted(entry.name for entry in catalogue.COMPLEXES)
    for structure in loaded:
        assert contrast(structure) == pytest.approx(1, rel=1e-5)
        assert structure.density.min() >= 0
        assert structure.density.dtype == np.float32
        assert structure.density.shape[0] % 2 == 1
        assert np.abs(centre_of_mass(structure)).max() < 0.01


def test_contrast_does_not_follow_grey_values_nor_one_dense_voxel(tmp_path):
    write_map(tmp_path / "a.mrc", lopsided())
    write_map(tmp_path / "b.mrc", 3000 * lopsided())
    solid = np.zeros((30, 30, 30))
    solid[8:22, 8:22, 8:22] = 5.0
    write_map(tmp_path / "c.mrc", solid)
    solid[15, 15, 15] = 50.0
    write_map(tmp_path / "d.mrc", solid)
    plain, scaled, ball, with_bead = load(tmp_path)
    assert np.allclose(plain.density, scaled.density, atol=1e-5)
    # Inside a solid body the density is 1; a bead ten times as dense dims it by a few percent.
    assert np.median(ball.density[ball.density > 0.5]) == pytest.approx(1, abs=0.15)
    dimmed = np.median(with_bead.density[with_bead.density > 0.5])
    assert dimmed / np.median(ball.density[ball.density > 0.5]) > 0.9


def test_real_maps(shared):
    loaded = load(shared / "maps")
    assert len(loaded) == 26
    sizes = {s.name: s.density.shape[0] for s in loaded}
    assert sizes["3qm1"] < 20 < 36 < sizes["5mrc"]
    assert all(np.abs(centre_of_mass(s)).max() < 0.2 for s in loaded)
    assert all(contrast(s) == pytest.approx(1, rel=1e-5) for s in loaded)


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


def test_extent_is_the_outer_diameter():
    density = np.zeros((21, 21, 21), np.float32)
    density[10, 10, 4] = density[10, 10, 14] = 1.0
    density[0, 0, 0] = 0.05  # thinner than a tenth of the maximum
    assert extent(Structure("a", density, 7.0)) == pytest.approx(2 * 6 * 7.0)


def test_a_folder_of_every_kind(folder):
    (folder / "emd_1.map.gz").write_bytes(gzip.compress((folder / "a.map").read_bytes()))
    (folder / "C.CIF.GZ").write_bytes(gzip.compress(mmcif(dimer())))
    (folder / "d.ent").write_text(dimer().make_pdb_string())
    (folder / "notes.txt").write_text("no structure")
    (folder / ".e.mrc").write_bytes(b"what another system leaves")
    (folder / "f.mrc").mkdir()
    loaded = {s.name: s for s in load(folder)}
    assert list(loaded) == ["C", "a", "b", "d", "emd_1"]
    assert np.array_equal(loaded["emd_1"].density, loaded["a"].density)
    assert np.allclose(loaded["C"].density, loaded["d"].density, atol=1e-5)


@pytest.mark.parametrize("content", [b"", b"no map", b"\0" * 2048])
def test_a_file_that_is_none_is_named(folder, content):
    (folder / "b.mrc").write_bytes(content)
    with pytest.raises(InputError, match=r"b\.mrc"):
        load(folder)
    (folder / "c.map").write_bytes((folder / "a.map").read_bytes())
    assert len(load(folder, classes="a,c")) == 2  # it was not asked for


def test_map_spacing_is_for_maps_without_one(folder):
    write_map(folder / "c.mrc", blob(), 0.0)
    with pytest.raises(InputError, match=r"c\.mrc.*map_spacing"):
        load(folder)
    by_hand, b = load(folder, classes="c,b", map_spacing=10.0)[::-1]
    assert np.array_equal(by_hand.density, b.density)


@pytest.mark.parametrize("name", ["none.mrc", "None.map", "none.mrc.gz", "a,b.pdb"])
def test_names_that_a_file_may_not_have(folder, name):
    (folder / name).write_bytes((folder / "a.map").read_bytes())
    with pytest.raises(InputError, match=rf"boxes without a particle.*{name}.*Rename"):
        load(folder)


@pytest.mark.parametrize("name", ["a.mrc", "a.map.gz", "a.pdb"])
def test_two_files_of_one_name(folder, name):
    (folder / name).write_bytes((folder / "a.map").read_bytes())
    with pytest.raises(InputError, match="several files named a"):
        load(folder)


def test_missing_folder(tmp_path):
    with pytest.raises(InputError, match=r'"pdb:ID,ID,\.\.\." or a folder.*not a folder'):
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


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Entries as if fetched; the archive itself is out of reach."""
    for entry in ("1ABC", "2XYZ", "3DEF"):
        content = gzip.compress(mmcif(dimer(entry)))
        (tmp_path / f"{entry.lower()}.cif.gz").write_bytes(content)
    monkeypatch.setattr(archive, "_fetch", lambda *_: pytest.fail("everything is in the cache"))
    return tmp_path


def test_entries_of_the_archive(cache):
    loaded = load("pdb:2xyz, 1ABC,pdb_00001abc", cache=cache)
    assert [s.name for s in loaded] == ["1abc", "2xyz"]
    assert np.array_equal(loaded[0].density, loaded[1].density)
    assert contrast(loaded[0]) == pytest.approx(1, rel=1e-5)


def test_only_the_entries_that_were_chosen_are_fetched(cache):
    loaded = load("PDB:9ZZZ,1ABC,3DEF", classes="3def,1abc", cache=cache)
    assert [s.name for s in loaded] == ["1abc", "3def"]


def test_entries_lie_in_the_data_folder(cache, monkeypatch):
    monkeypatch.setattr(structures.places, "structures_cache", lambda: cache)
    assert len(load("pdb:1ABC,2XYZ")) == 2


def test_ids_are_checked_before_anything_is_fetched(tmp_path):
    for source in ("pdb:", "pdb:1ABC,", "pdb:1ABC,groel"):
        with pytest.raises(InputError, match="ids of PDB entries"):
            load(source, cache=tmp_path)


def test_digest_follows_name_spacing_and_origin_and_no_last_bits(structures):
    digest = structures_digest(structures)
    first, *rest = structures
    changes = ({"name": "other"}, {"voxel_spacing": 9.0}, {"origin": "another file"})
    others = {structures_digest((replace(first, **change), *rest)) for change in changes}
    assert len(digest) == 64
    assert digest not in others
    assert len(others) == 3
    same = replace(first, density=np.nextafter(first.density, np.float32(9)))
    assert structures_digest((same, *rest)) == digest


def test_origin_follows_the_content_of_a_file_and_not_its_place(tmp_path, shared):
    origins = []
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
        for name in ("1bxn", "3gl1"):
            content = (shared / "maps" / f"{name}.mrc").read_bytes()
            if folder == "c":
                content = content[:-4] + b"\0\0\x80?"
            (tmp_path / folder / f"{name}.mrc").write_bytes(content)
        loaded = load_structures(str(tmp_path / folder), classes="all", voxel_spacing=14.0)
        origins.append([structure.origin for structure in loaded])
    assert origins[0] == origins[1]
    assert not set(origins[0]) & set(origins[2])
