from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from tomodistill.simulation import scene
from tomodistill.simulation.scene import Pose, place, rotate


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def empty(edge):
    return np.zeros((edge,) * 3, np.float32)


def test_rotation_and_its_inverse_cancel(structures, rotations):
    for structure in structures:
        for rotation in rotations[:5]:
            turned = replace(structure, density=rotate(structure, rotation))
            assert correlation(rotate(turned, rotation.inv()), structure.density) > 0.98


def test_rotation_acts_on_x_y_z(structures):
    density = empty(15)
    density[7, 7, 11] = 1  # +x
    point = replace(structures[0], density=ndimage.gaussian_filter(density, 1.0))
    turned = rotate(point, Rotation.from_euler("z", 90, degrees=True))
    assert np.unravel_index(turned.argmax(), turned.shape) == (7, 11, 7)  # +y


def test_rotation_keeps_the_mass(structures, rotations):
    for structure in structures:
        masses = [rotate(structure, rotation).sum() for rotation in rotations[:5]]
        assert masses == pytest.approx([structure.density.sum()] * 5, rel=0.01)


@pytest.mark.parametrize("edge", [47, 48])
def test_shift_moves_the_centre_of_mass(structures, rotations, edge):
    shift = np.array([1.3, -6.7, 4.5])
    for structure in structures:
        placed = empty(edge)
        place(placed, structure, Pose(rotations[0], shift))
        moved = np.array(ndimage.center_of_mass(placed)) - edge // 2
        assert moved == pytest.approx(shift, abs=0.02)


def test_what_lies_outside_is_cut_and_not_wrapped(structures):
    scene_, far = empty(32), empty(32)
    place(scene_, structures[0], Pose(Rotation.identity(), np.array([16.0, 0, 0])))
    assert scene_[:4].max() == 0
    assert scene_[28:].max() > 0.5
    place(far, structures[0], Pose(Rotation.identity(), np.array([60.0, 0, 0])))
    assert not far.any()


def test_two_halves_make_one(structures, rotations):
    pose, normal = Pose(rotations[1], np.array([0.4, -1.2, 2.0])), np.array([0.6, 0.0, 0.8])
    whole, halves = empty(40), empty(40)
    place(whole, structures[1], pose)
    place(halves, structures[1], pose, keep=normal)
    one = halves.copy()
    place(halves, structures[1], pose, keep=-normal)
    assert halves == pytest.approx(whole, abs=1e-6)
    assert one.sum() == pytest.approx(whole.sum() / 2, rel=0.15)
    where = np.array(ndimage.center_of_mass(one)) - 20 - pose.shift
    assert where @ normal > 1


def test_membrane_is_two_leaflets_at_their_distance():
    membrane, point = empty(48), np.array([0.0, 0.0, 3.0])
    scene.add_membrane(
        membrane, point=point, normal=np.array([0.0, 0, 1]), radius=500.0, voxel_spacing=4.0
    )
    profile = membrane[24, 24]  # along x, through the point
    leaflets = np.flatnonzero((profile[1:-1] > profile[:-2]) & (profile[1:-1] > profile[2:])) + 1
    assert np.diff(leaflets) * 4.0 == pytest.approx([36.0], abs=4.0)
    assert leaflets.mean() == pytest.approx(24 + 3, abs=0.5)
    assert profile[27] < 0.2 * profile.max()
    # Curved away from the normal: off the axis the middle lies back by y² / 2R = 20 Å at 140 Å.
    back = membrane[24 + 35 - 12, 24]
    assert np.average(np.arange(48), weights=back) < 27 - 2


def test_gold_bead_has_its_volume():
    gold = empty(40)
    scene.add_gold(gold, point=np.array([5.0, -3.0, 0.5]), radius=50.0, voxel_spacing=10.0)
    volume = gold.sum() / scene.GOLD_CONTRAST * 1000
    assert volume == pytest.approx(4 / 3 * np.pi * 50**3, rel=0.03)
    assert ndimage.center_of_mass(gold) == pytest.approx((25.0, 17.0, 20.5), abs=0.02)
    assert gold.max() == scene.GOLD_CONTRAST
