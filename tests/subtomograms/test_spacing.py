import pytest

from tomodistill.errors import InputError
from tomodistill.subtomograms.spacing import same_spacing, spanning_edge


def test_two_percent_are_the_same_spacing() -> None:
    assert same_spacing(10.19, 10.0)
    assert not same_spacing(9.79, 10.0)


@pytest.mark.parametrize(("spacing", "edge"), [(10.0, 40), (10.1, 40), (5.0, 80), (7.5, 160 / 3)])
def test_voxels_that_span_a_box(spacing: float, edge: float) -> None:
    assert spanning_edge(40, box_spacing=10.0, voxel_spacing=spacing) == pytest.approx(edge)


@pytest.mark.parametrize(
    ("spacing", "expected"), [(13.2, "10.0 Å or less"), (0.0, "0.01 to"), (float("nan"), "0.01 to")]
)
def test_coarser_voxels_and_no_spacing_are_refused(spacing: float, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        spanning_edge(40, box_spacing=10.0, voxel_spacing=spacing)
    assert expected in caught.value.expected
