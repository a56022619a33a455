"""Speed as ratios: teacher and student take turns in one process, so that a noisy machine cancels.

Absolute times of a shared machine swing by a factor of four; the median of paired ratios does not.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomodistill.evaluation.cost import speedup

Network = Callable[[NDArray[np.float32]], object]  # (n, d, d, d) -> logits
BATCH = 16  # subtomograms, for the speedup; the latency ratio has 1


@dataclass(frozen=True)
class Ratio:
    """Teacher time over student time: median and quartiles of paired rounds."""

    median: float
    lower: float
    upper: float


def paired_ratio(
    *, teacher: Network, student: Network, volumes: NDArray[np.float32], rounds: int = 15
) -> Ratio:
    """Time both on the same `volumes` (n, d, d, d), taking turns, after one call to warm up."""
    teacher(volumes), student(volumes)
    ratios = []
    for _ in range(rounds):
        teacher_time, student_time = _seconds(teacher, volumes), _seconds(student, volumes)
        ratios.append(speedup(teacher_time=teacher_time, student_time=student_time))
    lower, median, upper = np.percentile(ratios, (25, 50, 75))
    return Ratio(float(median), float(lower), float(upper))


def _seconds(network: Network, volumes: NDArray[np.float32]) -> float:
    start = time.perf_counter()
    network(volumes)
    return time.perf_counter() - start
