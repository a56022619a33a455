"""The service on a real socket, in a thread of this process."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI

from serving.config import ServiceConfig
from serving.server import Server, server_of
from tests.processes import free_port, wait_for


@contextmanager
def listening(app: FastAPI) -> Iterator[tuple[Server, int]]:
    """A server and its port; told to stop at the end, if it was not before."""
    config: ServiceConfig = app.state.service.config
    server = server_of(app, config)
    server.config.port = free_port()
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_for(lambda: server.started)
        yield server, server.config.port
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def post(body: bytes, *, length: int | None = None, path: str = "/classify") -> bytes:
    """A request; with another `length` than it has, it claims so."""
    size = len(body) if length is None else length
    return b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (
        path.encode(),
        size,
        body,
    )


def everything(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    received = b""
    try:
        while part := connection.recv(65_536):
            received += part
    except ConnectionResetError:
        pass
    return received
