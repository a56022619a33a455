import pytest

from tomodistill.errors import InputError
from tomodistill.networks.table import (
    NETWORKS,
    Convolution,
    Network,
    Padding,
    Pooling,
    check_box,
    find_network,
    network_names,
)


def test_names_and_roles() -> None:
    roles = {name: network.role for name, network in NETWORKS.items()}
    teachers = dict.fromkeys(("dsrf3d_v2", "rb3d", "cb3d"), "teacher")
    students = dict.fromkeys(("s1", "s2", "s3"), "student")
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
    [("s9", "student", "s1, s2, s3"), ("s3", "teacher", "dsrf3d_v2, rb3d, cb3d")],
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
