import pytest

from tomodistill.errors import InputError
from tomodistill.networks.layers import Convolution, GlobalPooling, Network, Padding, Pooling
from tomodistill.networks.table import (
    NETWORKS,
    check_box,
    find_network,
    network_names,
    seen_by,
)
from tomodistill.subtomograms.preprocessing import Preprocessing


def test_names_and_roles() -> None:
    roles = {name: network.role for name, network in NETWORKS.items()}
    teachers = dict.fromkeys(("dsrf3d_v2", "rb3d", "cb3d"), "teacher")
    students = dict.fromkeys(("s1", "s2", "s3", "f1", "f2", "f3"), "student")
    assert roles == {**teachers, **students}
    assert all(name == network.name for name, network in NETWORKS.items())


def test_found_by_name_and_role() -> None:
    layers = find_network("s3", "student").layers
    assert [of.width for of in layers if isinstance(of, Convolution)] == [16, 16, 32, 32, 32, 32]
    assert [of.size for of in layers if isinstance(of, Pooling)] == [(3, 3, 3)] * 3
    assert len(layers) == 9


def test_teachers_drop_out_as_they_were_published() -> None:
    rates = {name: NETWORKS[name].dropout for name in network_names("teacher")}
    assert rates == {"dsrf3d_v2": 0.7, "rb3d": 0.5, "cb3d": 0.5}


@pytest.mark.parametrize(
    ("name", "role", "choice"),
    [
        (
            "s9",
            "student",
            "s1, s2, s3, f1, f2, f3, or one of the family of fast-2-5s2w32-64x2-128x2",
        ),
        ("s3", "teacher", "dsrf3d_v2, rb3d, cb3d"),
        ("fast-2-5s2w32-64x2", "teacher", "dsrf3d_v2, rb3d, cb3d"),
    ],
)
def test_unknown_names_and_wrong_roles_are_refused(name: str, role, choice: str) -> None:
    with pytest.raises(InputError) as caught:
        find_network(name, role)
    assert caught.value.expected == f"a {role}: {choice}"
    assert caught.value.found == repr(name)


@pytest.mark.parametrize(
    ("name", "smallest"), [("dsrf3d_v2", 8), ("rb3d", 2), ("cb3d", 16), ("s1", 27), ("s3", 27)]
)
def test_smallest_boxes(name: str, smallest: int) -> None:
    check_box(NETWORKS[name], smallest)
    with pytest.raises(InputError, match=f"{smallest} voxels or more for {name}; found"):
        check_box(NETWORKS[name], smallest - 1)


def test_the_smallest_box_is_that_of_the_narrowest_axis() -> None:
    layers = (Pooling((1, 3, 2)), Padding((0, 1, 0)), Pooling((2, 5, 1)))
    # z needs 1 x 2 voxels, y 3 x (5 - 2), x 2 x 1
    assert Network("none", "student", layers, ()).smallest_box == 9


def test_strides_and_binning_count_in_the_smallest_box() -> None:
    # a stride of 3 makes 2 of 4 voxels ('same' padding), which the pooling takes
    layers = (Convolution(4, edge=5, stride=3), Pooling((2, 2, 2)), GlobalPooling())
    assert Network("none", "student", layers).smallest_box == 4
    binned = Network("none", "student", layers, binning=2.5)
    assert (binned.smallest_box, binned.edge(9), binned.edge(8)) == (9, 4, 3)


def test_a_network_sees_its_own_crop_of_what_all_see() -> None:
    common = Preprocessing(lowpass=30.0, crop=32)
    assert seen_by(NETWORKS["s3"], common, 40) == common
    assert seen_by(NETWORKS["f1"], common, 40) == Preprocessing(lowpass=30.0, crop=16)
    assert seen_by(NETWORKS["f1"], Preprocessing(), 40) == Preprocessing(crop=20)
