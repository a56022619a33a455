"""Shards computed by the workers of a Dask cluster."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from uuid import uuid4

from distributed import CancelledError, Client, Future, KilledWorker

from tomodistill.bulk.backends import Compute, Outcome
from tomodistill.bulk.dask_worker import OtherProgram, compute_here, program
from tomodistill.errors import InputError

_EACH = 2  # shards a worker has: none waits while an outcome travels
_PATIENCE = 60.0  # seconds, after which a word is said about workers that are missing

_NOBODY = "no worker is there; waiting for one (Ctrl-C ends: the same command goes on later)"


@dataclass(frozen=True)
class Connection:
    """A client, and what ends it and all that was started for it."""

    client: Client
    opened: ExitStack


class DaskBackend:
    """Any Dask cluster. It repeats nothing of itself: that is for whoever submits."""

    def __init__(self, job: Path, compute: Compute, connection: Connection) -> None:
        self._job, self._compute = job, compute
        self._client, self._opened = connection.client, connection.opened
        self._taken: dict[str, int] = {}  # key of a future -> shard
        self._done: SimpleQueue[Future] = SimpleQueue()

    def room(self) -> int:
        """Two for each worker there is now, since they come and go."""
        return _EACH * max(self._workers(), 1)

    def submit(self, shard: int) -> None:
        """Take one more shard; does not wait."""
        key = f"shard-{uuid4().hex}"  # others may use the same scheduler
        self._taken[key] = shard
        future = self._client.submit(
            compute_here, self._compute, self._job, shard, program(), key=key, pure=False, retries=0
        )
        future.add_done_callback(self._done.put)

    def next(self) -> Outcome:
        """The outcome of any shard that was taken; waits for it.

        Raises InputError if the scheduler is gone, or a worker has come with another program.
        """
        while True:
            try:
                future = self._done.get(timeout=_PATIENCE)
                break
            except Empty:
                if not self._workers():
                    print(_NOBODY, flush=True)
        return self._outcome(self._taken.pop(future.key), future)

    def close(self) -> None:
        """End what was started for this job, at once; shards under way are given up."""
        self._opened.close()

    def _workers(self) -> int:
        try:
            return len(self._client.nthreads())
        except (OSError, ValueError) as error:  # ValueError: the client is closed
            raise _gone() from error

    def _outcome(self, shard: int, future: Future) -> Outcome:
        try:
            outcome: Outcome = future.result()
            return outcome
        except KilledWorker as killed:
            worker = killed.last_worker.address
            return Outcome(
                shard, fault=f"its worker {worker} died, perhaps for its memory", lost=True
            )
        except (CancelledError, OSError) as error:
            raise _gone() from error
        except OtherProgram as error:
            raise other_program(error) from error
        except Exception as error:  # before the shard began: not even its function was found
            return Outcome(shard, fault=f"{type(error).__name__}: {error}")


def other_program(error: Exception) -> InputError:
    """What a worker says that does not run what this process runs."""
    return InputError(
        expected=f"workers with {program()}",
        found=f"{type(error).__name__}: {error}",
        todo="Start them from this checkout (PYTHONPATH=src of the same environment), and leave it "
        "as it is while they run: the same command goes on with what is missing.",
    )


def _gone() -> InputError:
    return InputError(
        expected="a scheduler that answers until the job is done",
        found="none any more",
        todo="Finished shards are kept: the same command goes on with what is missing.",
    )
