"""The controls of every simulated set: what a linear classifier makes of power spectra alone.

A network is worth its cost only if size and contrast do not already give the class away; and a
class `none` that variance and spectrum give away is no test of whether a network knows particles.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

_TINY = np.finfo(np.float32).tiny  # a constant volume has no power


class Given(NamedTuple):
    """How well a classifier tells one class from the rest; at chance both are one half."""

    balanced_accuracy: float
    auc: float  # area under the receiver operating characteristic


def radial_power(volumes: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, d//2 + 1) mean power of (n, d, d, d) volumes in shells of one Fourier voxel."""
    box = volumes.shape[-1]
    radius, standing_for = _half_space(box)
    inside = radius <= box // 2
    shells, weights = radius[inside], standing_for[inside]
    count = np.bincount(shells, weights)
    return np.array(
        [np.bincount(shells, weights * _power(volume)[inside]) / count for volume in volumes]
    )


def variance_and_power(volumes: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, 1 + d//2) log variance and log radial power of (n, d, d, d), whatever their means."""
    variance = volumes.var(axis=(1, 2, 3), dtype=np.float64)
    return np.log(np.column_stack([variance, _without_mean(volumes)]) + _TINY)


def given_away(
    *,
    train_features: NDArray[np.float64],
    train_is: NDArray[np.bool_],
    val_features: NDArray[np.float64],
    val_is: NDArray[np.bool_],
) -> Given:
    """How well a balanced logistic regression on (n, f) features knows whether an item `is`."""
    classifier = _linear(class_weight="balanced").fit(train_features, train_is)
    return Given(
        float(balanced_accuracy_score(val_is, classifier.predict(val_features))),
        float(roc_auc_score(val_is, classifier.decision_function(val_features))),
    )


def power_spectrum_accuracy(
    *,
    train_volumes: NDArray[np.float32],
    train_labels: NDArray[np.int64],
    test_volumes: NDArray[np.float32],
    test_labels: NDArray[np.int64],
) -> float:
    """Test accuracy of a logistic regression on each volume's log radial power spectrum."""
    train, test = (np.log(_without_mean(v) + _TINY) for v in (train_volumes, test_volumes))
    return float(_linear().fit(train, train_labels).score(test, test_labels))


def _without_mean(volumes: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, d//2): shell 0 is the mean, which normalisation removes."""
    return radial_power(volumes)[:, 1:]


def _linear(class_weight: str | None = None) -> Pipeline:
    return make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=5000, class_weight=class_weight)
    )


def _power(volume: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(np.square(np.abs(fft.rfftn(volume)), dtype=np.float64))


def _half_space(box: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(d, d, d//2 + 1) radius in Fourier voxels, in the order of `rfftn`, and how many voxels of
    the full space each stands for: k and −k, but in the planes that hold both.
    """
    along = fft.fftfreq(box, 1 / box) ** 2
    half = fft.rfftfreq(box, 1 / box)
    radius = np.sqrt(along[:, None, None] + along[:, None] + half**2).round().astype(int)
    alone = (half == 0) | (2 * half == box)
    return radius, np.broadcast_to(np.where(alone, 1.0, 2.0), radius.shape)
