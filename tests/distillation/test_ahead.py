import threading
import time

import pytest

from tomodistill.distillation.ahead import Ahead


def test_the_next_are_made_while_one_is_used() -> None:
    made: list[int] = []
    ahead = Ahead(lambda index: made.append(index) or 10 * index, threads=3)
    assert ahead.get(0, count=6) == 0
    deadline = time.monotonic() + 30
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert sorted(made) == [0, 1, 2, 3]
    assert [ahead.get(index, count=6) for index in range(1, 6)] == [10, 20, 30, 40, 50]
    assert sorted(made) == list(range(6))  # none twice, none beyond the last


def test_after_forgetting_everything_is_made_anew() -> None:
    factor = 1
    ahead = Ahead(lambda index: factor * index, threads=2)
    assert ahead.get(0, count=5) == 0
    ahead.forget()
    factor = 7
    assert [ahead.get(index, count=5) for index in range(5)] == [0, 7, 14, 21, 28]


def test_an_error_reaches_who_asks() -> None:
    ahead = Ahead(lambda index: [0][index], threads=1)
    assert ahead.get(0, count=2) == 0
    with pytest.raises(IndexError):
        ahead.get(1, count=2)


def test_threads_do_the_work() -> None:
    ahead = Ahead(lambda index: threading.current_thread(), threads=1)
    assert ahead.get(0, count=1) is not threading.current_thread()
