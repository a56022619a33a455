import multiprocessing
import os
import signal
import sys
from functools import partial
from pathlib import Path

import pytest
from threadpoolctl import threadpool_info

from tomodistill.errors import InputError
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


def blocked(process):
    """Signals that the main thread of a process never hears."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    mask = int(status.partition("SigBlk:")[2].split()[0], 16)
    return {number for number in signal.valid_signals() if mask >> (number - 1) & 1}


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_no_worker_hears_ctrl_c():
    before = set(multiprocessing.active_children())
    results = in_order(partial(times, 1), range(20 * CHUNK), workers=3)
    next(results)
    workers = set(multiprocessing.active_children()) - before
    assert len(workers) == 3
    assert all(signal.SIGINT in blocked(worker) for worker in workers)
    results.close()
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def no_memory():
    raise MemoryError


def killed(item):
    os.kill(os.getpid(), signal.SIGKILL)


def of_killed():
    return killed


@pytest.mark.parametrize("make", [no_memory, of_killed])
def test_a_worker_that_dies_ends_the_work_with_a_word(make, capfd):
    with pytest.raises(InputError, match="one of 2 that could not start, or was killed"):
        list(in_order(make, range(100), workers=2))
    capfd.readouterr()  # the process that could not start says why
