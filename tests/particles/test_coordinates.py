from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.particles.lists_of_others import (
    AT,
    DIALECTS,
    SHAPE,
    SHIFTED_BY,
    SPACING,
    write_list,
)
from tomodistill.errors import InputError
from tomodistill.particles.coordinates import Coordinates, voxels
from tomodistill.particles.reading import read_particles

ALL = slice(None)


def at_voxels(path: Path, spacing: float = SPACING, **options: object) -> np.ndarray:
    """(n, 3) z, y, x; a tomogram of other voxels is as long."""
    positions = read_particles(path).positions
    assert positions is not None
    z, y, x = (round(side * SPACING / spacing) for side in SHAPE)
    choice = Coordinates(**options)  # type: ignore[arg-type]
    return voxels(positions, ALL, shape=(z, y, x), voxel_spacing=spacing, options=choice)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_lands_on_the_same_voxel(tmp_path: Path, dialect: str) -> None:
    path = write_list(tmp_path, dialect)
    np.testing.assert_allclose(at_voxels(path), [AT])
    np.testing.assert_allclose(at_voxels(path, spacing=5.0), [2 * AT])


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name != "m"])
def test_without_origins_it_is_where_it_was_picked(tmp_path: Path, dialect: str) -> None:
    found = at_voxels(write_list(tmp_path, dialect), origins=False)
    np.testing.assert_allclose(found, [AT - SHIFTED_BY])


def test_the_centre_of_relion_5_may_be_a_voxel_before(tmp_path: Path) -> None:
    found = at_voxels(write_list(tmp_path, "relion5"), centre="half_minus_one")
    np.testing.assert_allclose(found, [AT - 1])


def test_a_stated_spacing_goes_before_that_of_the_list(tmp_path: Path) -> None:
    path = write_list(tmp_path, "relion3")
    found = at_voxels(path, coordinate_spacing=20.0, origins=False)
    np.testing.assert_allclose(found, [2 * (AT - SHIFTED_BY)])


def test_a_list_that_states_no_spacing_counts_in_the_voxels_of_its_tomogram(
    tmp_path: Path,
) -> None:
    path = write_list(tmp_path, "relion3")
    path.write_text(path.read_text().replace("rlnDetectorPixelSize", "rlnOther"))
    np.testing.assert_allclose(at_voxels(path, spacing=5.0), [AT])
    positions = read_particles(path).positions
    assert positions is not None
    unstated = voxels(positions, ALL, shape=SHAPE, voxel_spacing=np.nan, options=Coordinates())
    np.testing.assert_allclose(unstated, [AT])


def test_angstrom_need_the_voxel_spacing(tmp_path: Path) -> None:
    positions = read_particles(write_list(tmp_path, "relion5")).positions
    assert positions is not None
    with pytest.raises(InputError, match="voxel_spacing= in Å"):
        voxels(positions, ALL, shape=SHAPE, voxel_spacing=np.nan, options=Coordinates())


def test_origins_are_turned_as_the_box_was_extracted(tmp_path: Path) -> None:
    """RELION: centre = coordinate - A * origin, A its own matrix of the three angles."""
    turned = "rlnTomoSubtomogramRot 30 rlnTomoSubtomogramTilt 60 rlnTomoSubtomogramPsi 75"
    found = at_voxels(write_list(tmp_path, "relion5", turned=turned))
    r, t, p = np.deg2rad([30, 60, 75])
    cr, ct, cp, sr, st, sp = *np.cos([r, t, p]), *np.sin([r, t, p])
    matrix = np.array(
        [
            [cp * ct * cr - sp * sr, cp * ct * sr + sp * cr, -cp * st],
            [-sp * ct * cr - cp * sr, -sp * ct * sr + cp * cr, sp * st],
            [st * cr, st * sr, ct],
        ]
    )
    shift = (matrix @ SHIFTED_BY[::-1])[::-1]
    np.testing.assert_allclose(found, [AT - SHIFTED_BY + shift])


def test_angles_are_those_in_the_tomogram(tmp_path: Path) -> None:
    box, own = (30.0, 60.0, 75.0), (10.0, 20.0, -40.0)
    turned = " ".join(
        f"{prefix}{name} {angle}"
        for prefix, angles in (("rlnTomoSubtomogram", box), ("rlnAngle", own))
        for name, angle in zip(("Rot", "Tilt", "Psi"), angles, strict=True)
    )
    angles = read_particles(write_list(tmp_path, "relion5", turned=turned)).angles
    assert angles is not None
    box_matrix, own_matrix = (relion_matrix(each) for each in (box, own))
    np.testing.assert_allclose(relion_matrix(angles[0]), box_matrix @ own_matrix, atol=1e-12)


def relion_matrix(angles: object) -> np.ndarray:
    return Rotation.from_euler("ZYZ", angles, degrees=True).as_matrix().T


@pytest.mark.parametrize(
    ("wrong", "flag"),
    [({"coordinate_spacing": -1.0}, "coordinate_spacing"), ({"centre": "x"}, "centre")],
)
def test_impossible_options_are_refused(wrong: dict[str, object], flag: str) -> None:
    with pytest.raises(InputError, match=flag):
        Coordinates(**wrong)  # type: ignore[arg-type]
