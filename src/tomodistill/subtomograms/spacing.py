"""Voxel spacings: which are plausible, which the same, and how many voxels span a box."""

from tomodistill.errors import InputError

SMALLEST_SPACING, LARGEST_SPACING = 0.01, 1000.0  # Å
_TOLERANCE = 0.02  # relative


def same_spacing(one: float, other: float) -> bool:
    """Whether two voxel spacings in Å are as good as the same."""
    return abs(one / other - 1) <= _TOLERANCE


def spanning_edge(box: int, *, box_spacing: float, voxel_spacing: float) -> float:
    """Voxels of `voxel_spacing` that span a box of those of `box_spacing`, both in Å.

    Raises InputError for a spacing that is none, and for voxels coarser than the box's, which
    would have to be made up.
    """
    if not SMALLEST_SPACING <= voxel_spacing <= LARGEST_SPACING:
        raise InputError(
            expected=f"a voxel spacing of {SMALLEST_SPACING:g} to {LARGEST_SPACING:g} Å",
            found=f"{voxel_spacing}",
            todo="Correct voxel_spacing.",
        )
    if same_spacing(voxel_spacing, box_spacing):
        return box
    if voxel_spacing > box_spacing:
        raise InputError(
            expected=f"a voxel spacing of {box_spacing} Å or less",
            found=f"{voxel_spacing:.3f} Å",
            todo="Take subtomograms of a less binned tomogram, or correct voxel_spacing.",
        )
    return box * (box_spacing / voxel_spacing)
