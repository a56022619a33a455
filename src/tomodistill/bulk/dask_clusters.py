"""Dask clusters: started on this machine, through a batch system, or found running."""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster, Nanny, SpecCluster
from distributed.security import Security

from tomodistill.bulk.cluster import LOCAL, ClusterConfig
from tomodistill.bulk.dask_backend import Connection, other_program
from tomodistill.bulk.dask_worker import ALLOCATOR, Share, check_program, gpus, program
from tomodistill.errors import InputError
from tomodistill.inference.choice import AUTO
from tomodistill.machine import cores, unheard

_CONNECT = 10.0  # seconds until a scheduler must have answered
_WORD = 60.0  # seconds between words about workers that do not come
_END = 1.0  # seconds that a worker has to end, before it is killed
_LOGGERS = ("distributed", "distributed.client", "tornado.application", "asyncio")
_SETTINGS = {
    "distributed.scheduler.allowed-failures": 0,  # whoever submits decides what is tried again
    "distributed.scheduler.http.routes": [],  # nobody looks
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
    "distributed.nanny.pre-spawn-environ": ALLOCATOR,
    "distributed.comm.timeouts.connect": f"{_CONNECT:g}s",
}


def connected(config: ClusterConfig, job: Path) -> Connection:
    """A client of these workers, of which at least one is there and runs this program.

    Raises InputError if there is no such cluster, or its workers run another program.
    """
    with ExitStack() as opened:
        opened.enter_context(dask.config.set(_SETTINGS))
        opened.enter_context(_quiet())
        client = _client(config, job, opened)
        _wait_for_one(client, config)
        if config.cluster != LOCAL:
            _check_program(client)
        return Connection(client, opened.pop_all())


def _client(config: ClusterConfig, job: Path, opened: ExitStack) -> Client:
    if config.cluster == LOCAL:
        with unheard():
            return _local(config, opened)
    if config.batch_system:
        from tomodistill.bulk.batch_system import submitted

        with unheard():
            return opened.enter_context(_of(submitted(config, job, opened)))
    return opened.enter_context(_found(config))


def _local(config: ClusterConfig, opened: ExitStack) -> Client:
    """On loopback, with a key that only its own workers get: others may use this machine."""
    automatic = len(gpus()) or cores()
    count = automatic if config.workers == AUTO else int(config.workers)
    try:
        cluster = LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            memory_limit=None,
            worker_class=_Keeper,
            security=Security.temporary(),
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,
        )
    except RuntimeError as error:
        raise InputError(
            expected=f"{count} worker processes that start",
            found=f"{error}",
            todo="Make room in memory, or give fewer workers=; the same command goes on.",
        ) from error
    client = opened.enter_context(_of(opened.enter_context(cluster)))
    client.register_plugin(Share(count))
    cluster.adapt(minimum=count, maximum=count)  # where even the one that starts them again fails
    return client


def _of(cluster: SpecCluster) -> Client:
    return Client(cluster, set_as_default=False)


class _Keeper(Nanny):
    """Starts a worker again that was killed, and does not wait for the shard of one that shall end.

    Workers end by themselves when this process does, even if it is killed.
    """

    async def close(self, timeout: float = _END, reason: str = "nanny-close") -> Any:
        return await super().close(timeout=timeout, reason=reason)


def _found(config: ClusterConfig) -> Client:
    if config.scheduler.startswith("tls") and not _has_key():
        raise InputError(
            expected="the key of a scheduler that talks TLS",
            found="none in distributed.comm.tls of Dask's configuration",
            todo="Write it there, as on the scheduler's machine; see https://docs.dask.org",
        )
    try:
        return Client(config.scheduler, timeout=_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            expected="a Dask scheduler that answers",
            found=f"none at {config.cluster}",
            todo="Start one (dask scheduler), or correct cluster=tcp://host:port.",
        ) from error


def _has_key() -> bool:
    return Security().get_connection_args("client")["ssl_context"] is not None


def _wait_for_one(client: Client, config: ClusterConfig) -> None:
    began = time.monotonic()
    while True:
        try:
            client.wait_for_workers(1, timeout=_WORD)
            return
        except TimeoutError:
            minutes = (time.monotonic() - began) / 60
            print(f"no worker of {config.cluster} after {minutes:.0f} min; waiting", flush=True)


def _check_program(client: Client) -> None:
    """Raises InputError if a worker that is there has another program, or none."""
    try:
        client.run(check_program, program())
    except Exception as error:  # whatever a worker without this package says
        raise other_program(error) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """A worker that dies is this program's business, and told in its own words."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
