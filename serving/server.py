"""The process around the application: registry, log, connections and signals."""

import asyncio
import gc
import math
import resource
import signal
import socket
import sys
import time
from types import FrameType

import uvicorn
from fastapi import FastAPI

from serving import logs
from serving.app import create_app
from serving.config import ServiceConfig
from serving.connection import KEEP_ALIVE_SECONDS, Connection, connections_of
from serving.work import Service
from tomodistill.errors import InputError
from tomodistill.tracking import registry
from tomodistill.tracking.store import explained, hurried, store_address

_ONCE_SECONDS = 1.0  # Ctrl-C on `mlflow run` brings a SIGTERM right after: one stop, not two
_PREPARING_SECONDS = 5  # beside the deadline of a request
_SWITCH_SECONDS = 0.0005  # that the event loop waits for the interpreter behind another thread
_OTHER_FILES = 256  # that are open beside the connections


def serve(config: ServiceConfig) -> None:
    """Serve the model of the registry until SIGTERM or SIGINT."""
    resolve, download = explained()(registry.resolve), explained()(registry.download)
    with hurried():  # the service asks again anyway
        run(create_app(config, resolve=resolve, download=download, store=store_address()), config)


def check_port(config: ServiceConfig) -> None:
    """Raises InputError if the address is not to be had, before anything is loaded for it."""
    try:
        socket.create_server((config.host, config.port)).close()
    except OSError as error:
        raise InputError(
            expected=f"a free port at {config.host}:{config.port}",
            found=f"{error.strerror}",
            todo="Stop what listens there, or choose another with port=N.",
        ) from error


def run(app: FastAPI, config: ServiceConfig) -> None:
    """Run `app` until SIGTERM or SIGINT: requests under way are finished, then it exits with 0."""
    logs.configure(config.log)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until the server has its own
    sys.setswitchinterval(_SWITCH_SECONDS)
    _allow_files(2 * config.connections + _OTHER_FILES)
    server = server_of(app, config)
    server.alone = True
    server.run()


def server_of(app: FastAPI, config: ServiceConfig) -> "Server":
    """What listens for `app`; nothing of the process is changed before it runs."""
    service: Service = app.state.service
    settings = uvicorn.Config(
        app,
        host=config.host,
        port=config.port,
        loop="uvloop",
        http=connections_of(service),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody's word for who the client is
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_longest(config) + 1,  # a bug, if anything is left then
    )
    return Server(settings, service)


def _longest(config: ServiceConfig) -> int:
    """Seconds, within which whatever was received has its answer."""
    return math.ceil(config.deadline_seconds) + _PREPARING_SECONDS


def _allow_files(count: int) -> None:
    """Each connection is an open file, and shells allow a process few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        most = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class Server(uvicorn.Server):
    """Told to stop it is not ready at once, and stops when load balancers have seen that."""

    def __init__(self, settings: uvicorn.Config, service: Service) -> None:
        super().__init__(settings)
        self._service = service
        self._told_at = math.inf  # seconds of time.monotonic
        self.alone = False  # whether nothing but the service is in this process
        self._settled = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal drains, a later one ends it."""
        now = time.monotonic()
        if not self._service.draining:
            self._service.draining, self._told_at = True, now
        elif now - self._told_at > _ONCE_SECONDS:
            self.should_exit = self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second; True: stop."""
        if counter % 10 == 0:
            self._watch()
        if time.monotonic() - self._told_at >= self._service.config.drain_seconds:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, answer what there is, then cut what is left."""
        loop = asyncio.get_running_loop()
        loop.call_later(_longest(self._service.config), self._cut)
        await super().shutdown(sockets)
        self._cut()

    def _settle(self) -> None:
        """Once there is a model: libraries and model stay, and no collection need look at them.

        One that did would hold up every request for a tenth of a second.
        """
        if self.alone and not self._settled and self._service.follower.current:
            self._settled = True
            gc.collect()
            gc.freeze()

    def _watch(self) -> None:
        self._settle()
        now = asyncio.get_running_loop().time()
        connections = self._connections()
        self._service.metrics.connections.set(len(connections))
        for connection in connections:
            connection.watch(now)

    def _cut(self) -> None:
        for connection in self._connections():
            connection.cut()

    def _connections(self) -> list[Connection]:
        return [one for one in self.server_state.connections if isinstance(one, Connection)]
