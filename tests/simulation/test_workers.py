from functools import partial

import pytest
from threadpoolctl import threadpool_info

from tomodistill.simulation.workers import CHUNK, in_order


def scale(factor, item):
    return factor * item


def times(factor):
    return partial(scale, factor)


def threads(item):
    return [pool["num_threads"] for pool in threadpool_info()]


def of_threads():
    return threads


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_order(workers):
    made = list(in_order(partial(times, 3), range(2 * CHUNK + 5), workers=workers))
    assert made == [3 * item for item in range(2 * CHUNK + 5)]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_process_calculates_with_one_thread(workers):
    for numbers in in_order(of_threads, range(2), workers=workers):
        assert set(numbers) <= {1}


def test_no_more_is_made_ahead_than_is_taken():
    """What bounds the memory: items are asked for only as results are taken."""
    asked = []

    def items():
        for item in range(100 * CHUNK):
            asked.append(item)
            yield item

    results = in_order(partial(times, 1), items(), workers=2)
    next(results)
    assert len(asked) <= 9 * CHUNK
    results.close()
