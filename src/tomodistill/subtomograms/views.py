"""The legal views of a finished subtomogram: rotations that leave its missing wedge in place.

With the tilt axis along y and the beam along z only 180-degree rotations keep the measured region,
and those about x and z only where the tilt range is symmetric. Mirrors would change handedness.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

# axes of (d, d, d) to reverse: a half turn about one axis reverses the other two
VIEWS: dict[str, tuple[int, ...]] = {"identity": (), "y": (0, 2), "z": (1, 2), "x": (0, 1)}


def legal_views(tilt_ranges: ArrayLike) -> tuple[str, ...]:
    """Names of the half turns that map the measured region on itself.

    `tilt_ranges` (2,) or (n, 2): (min, max) in degrees; the views are legal for each of them. Where
    one is unknown (NaN), so is the tilt axis, and no turn is legal.
    """
    low, high = np.asarray(tilt_ranges, np.float64).T
    if np.isnan([low, high]).any():
        return ("identity",)
    return tuple(VIEWS) if np.allclose(low, -high) else ("identity", "y")


def view(volumes: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """(..., d, d, d) volumes turned by the half turn of that name."""
    return np.flip(volumes, axis=tuple(axis - 3 for axis in VIEWS[name]))
