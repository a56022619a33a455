from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tomodistill.evaluation.speed import paired_ratio


class Clock:
    """Time that passes only when a fake network says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[str] = []

    def network(self, name: str, seconds: Iterator[float]) -> Callable[[np.ndarray], None]:
        def run(volumes: np.ndarray) -> None:
            assert volumes.shape == (16, 2, 2, 2)
            self.calls.append(name)
            self.now += next(seconds)

        return run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("tomodistill.evaluation.speed.time.perf_counter", lambda: made.now)
    return made


def ratio_of(clock: Clock, teacher: list[float], student: list[float]):
    return paired_ratio(
        teacher=clock.network("teacher", iter(teacher)),
        student=clock.network("student", iter(student)),
        volumes=np.zeros((16, 2, 2, 2), np.float32),
        rounds=len(teacher) - 1,
    )


def test_median_of_paired_ratios_without_the_first_call(clock: Clock) -> None:
    ratio = ratio_of(clock, [99, 4, 30, 6, 8, 10], [1, 2, 1, 2, 2, 2])  # 2, 30, 3, 4, 5
    assert (ratio.lower, ratio.median, ratio.upper) == (3, 4, 5)


def test_a_machine_that_slows_down_does_not_change_the_ratio(clock: Clock) -> None:
    drift = [1.0, 1.0, 2.0, 4.0, 8.0]
    ratio = ratio_of(clock, [6 * slow for slow in drift], [2 * slow for slow in drift])
    assert (ratio.lower, ratio.median, ratio.upper) == (3, 3, 3)


def test_they_take_turns(clock: Clock) -> None:
    ratio_of(clock, [1.0] * 4, [1.0] * 4)
    assert clock.calls == ["teacher", "student"] * 4
