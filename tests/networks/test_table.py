import pytest

from tomodistill.errors import InputError
from tomodistill.networks.table import NETWORKS, check_box, find_network


def test_names_and_roles() -> None:
    roles = {name: network.role for name, network in NETWORKS.items()}
    students = dict.fromkeys(("s1", "s2", "s3"), "student")
    assert roles == {"dsrf3d_v2": "teacher", **students}
    assert all(name == network.name for name, network in NETWORKS.items())


def test_found_by_name_and_role() -> None:
    assert find_network("s3", "student").stages == ((16, 16), (32, 32), (32, 32))


@pytest.mark.parametrize(
    ("name", "role", "choice"), [("s9", "student", "s1, s2, s3"), ("s3", "teacher", "dsrf3d_v2")]
)
def test_unknown_names_and_wrong_roles_are_refused(name: str, role, choice: str) -> None:
    with pytest.raises(InputError) as caught:
        find_network(name, role)
    assert caught.value.expected == f"a {role}: {choice}"
    assert caught.value.found == repr(name)


@pytest.mark.parametrize(("name", "smallest"), [("dsrf3d_v2", 8), ("s1", 27), ("s3", 27)])
def test_smallest_boxes(name: str, smallest: int) -> None:
    check_box(NETWORKS[name], smallest)
    with pytest.raises(InputError, match=f"{smallest} voxels or more for {name}; found"):
        check_box(NETWORKS[name], smallest - 1)
