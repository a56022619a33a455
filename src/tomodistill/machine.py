"""What of this machine a process may use."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from multiprocessing.resource_tracker import ensure_running
from pathlib import Path

_BEHIND = 5  # in niceness; beside a busy thread it gets a quarter of a core
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cores() -> int:
    """Which this process may use: a job or a container has a share of the machine."""
    known = hasattr(os, "sched_getaffinity")
    usable = len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    return max(int(min(usable, _quota())), 1)


def stand_behind() -> None:
    """Let other threads go before this one, and before those that it starts.

    Whoever answers strangers must not wait for whoever computes. Linux alone can say so of threads.
    """
    if sys.platform == "linux":
        of_main_thread = os.getpriority(os.PRIO_PROCESS, os.getpid())
        os.setpriority(os.PRIO_PROCESS, 0, of_main_thread + _BEHIND)


@contextmanager
def unheard() -> Iterator[None]:
    """Threads and processes that start within the block never hear Ctrl-C: this one ends them."""
    ensure_running()  # would let signals through again when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _quota() -> float:
    """Cores' worth of time that the control group has."""
    try:
        limit, period = _QUOTA.read_text().split()
    except OSError:
        return inf
    return inf if limit == "max" else int(limit) / int(period)
