"""Legal changes of finished subtomograms beside half turns: shift, mix, noise of the same wedge.

All of them carry no power into the missing wedge. An arbitrary rotation would, a mirror would
change handedness: neither is here.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from tomodistill.errors import InputError
from tomodistill.simulation.wedge import measured_region

_AXES = (1, 2, 3)


def shift(volumes: NDArray[np.float32], voxels: NDArray[np.int64]) -> NDArray[np.float32]:
    """(n, d, d, d) volumes, each moved by its row of `voxels` (n, 3), z, y, x.

    Cyclic, because then only phases change: the power at every frequency stays exactly. What
    leaves at one face comes in at the opposite one, so shifts should be small against the box.
    """
    moved = [np.roll(volume, by, (0, 1, 2)) for volume, by in zip(volumes, voxels, strict=True)]
    return np.stack(moved)


def mix(
    first: NDArray[np.float32], second: NDArray[np.float32], *, share: NDArray[np.float64]
) -> NDArray[np.float32]:
    """(n, ...) (1 − share) × first + share × second, with `share` (n,) in 0 to 1.

    For volumes of the same missing wedge, and for one-hot labels or probabilities (Zhang et al.
    2018, mixup). In the wedge a mix has at most the power of the stronger of the two.
    """
    of_second = share.astype(first.dtype).reshape(-1, *[1] * (first.ndim - 1))
    return (1 - of_second) * first + of_second * second


def measured_halves(box: int, tilt_ranges: ArrayLike) -> NDArray[np.bool_]:
    """(n, d, 1, d//2 + 1) bool: what the tilt ranges (n, 2), degrees, measure, as `rfftn` has it.

    The same for all y, the tilt axis. Raises InputError where a tilt range is unknown (NaN).
    """
    ranges, row = np.unique(np.asarray(tilt_ranges, np.float64), axis=0, return_inverse=True)
    if np.isnan(ranges).any():
        raise InputError(
            expected="tilt ranges in degrees, so that noise keeps out of the missing wedge",
            found="subtomograms of unknown tilt range",
            todo="Set augment_noise to 0.",
        )
    half = slice(box // 2 + 1)
    return np.stack([measured_region(box, *tilts)[:, :1, half] for tilts in ranges])[row]


def filtered_noise(transfer: NDArray[Any], rng: np.random.Generator) -> NDArray[np.float32]:
    """(n, d, d, d) white noise of unit variance, then filtered.

    `transfer` (n, d, d or 1, d//2 + 1) is of the amplitude: what `measured_halves` gives, or that
    times the `response` of a preprocessing.
    """
    shape = (len(transfer), *[transfer.shape[1]] * 3)
    spectrum = fft.rfftn(rng.standard_normal(shape, np.float32), axes=_AXES)
    return np.asarray(fft.irfftn(spectrum * transfer, s=shape[1:], axes=_AXES), np.float32)


def response(
    box: int, prepare: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """(1, e, e, e//2 + 1) amplitude that `prepare`, linear but for its scale, leaves of white.

    With it, noise looks to a network as that in the volumes does: cut off where theirs is.
    `prepare` takes (1, d, d, d) and gives (1, e, e, e), which is smaller if it crops.
    """
    impulse = np.zeros((1, box, box, box), np.float32)
    impulse[0, 0, 0, 0] = 1
    return np.asarray(np.abs(fft.rfftn(prepare(impulse), axes=_AXES)))


def unit_variance(volumes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, d, d, d) volumes of zero mean, scaled as networks see them; constant ones stay."""
    spread = volumes.std(axis=_AXES, keepdims=True)
    spread[spread == 0] = 1
    return np.asarray(volumes / spread)
