"""The control of every simulated set: what a linear classifier makes of power spectra alone.

A network is worth its cost only if size and contrast do not already give the class away.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def radial_power(volumes: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, d//2 + 1) mean power of (n, d, d, d) volumes in shells of one Fourier voxel."""
    box = volumes.shape[-1]
    frequency = np.fft.fftfreq(box, 1 / box)
    radius = np.sqrt(sum(np.meshgrid(*[frequency**2] * 3, indexing="ij"))).round().astype(int)
    inside = radius <= box // 2
    count = np.bincount(radius[inside])
    return np.array([_shell_sums(volume, radius, inside) / count for volume in volumes])


def _shell_sums(
    volume: NDArray[np.float32], radius: NDArray[np.int64], inside: NDArray[np.bool_]
) -> NDArray[np.float64]:
    power = np.abs(np.fft.fftn(volume)) ** 2
    return np.asarray(np.bincount(radius[inside], weights=power[inside]), np.float64)


def power_spectrum_accuracy(
    *,
    train_volumes: NDArray[np.float32],
    train_labels: NDArray[np.int64],
    test_volumes: NDArray[np.float32],
    test_labels: NDArray[np.int64],
) -> float:
    """Test accuracy of a logistic regression on each volume's log radial power spectrum."""
    shells = slice(1, None)  # shell 0 is the mean, which normalisation has removed
    tiny = np.finfo(np.float32).tiny  # a constant volume has no power
    train, test = (np.log(radial_power(v)[:, shells] + tiny) for v in (train_volumes, test_volumes))
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    return float(classifier.fit(train, train_labels).score(test, test_labels))
