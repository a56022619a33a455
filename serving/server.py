"""The process around the application: registry, log and signals."""

import logging
import signal
import socket
import sys

import uvicorn
from fastapi import FastAPI

from serving.app import create_app
from serving.config import ServiceConfig
from tomodistill.errors import InputError
from tomodistill.tracking import registry

_DRAIN_SECONDS = 30  # for requests under way when the service is told to stop


def serve(config: ServiceConfig) -> None:
    """Serve the model of the registry until SIGTERM or SIGINT."""
    run(create_app(config, resolve=registry.resolve, download=registry.download), config)


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
    logging.basicConfig(format="%(levelname)s:     %(message)s")
    logging.getLogger("serving").setLevel(logging.INFO)
    # uvicorn drains, then raises the signal again: a wanted end, not a crash.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(app, host=config.host, port=config.port, timeout_graceful_shutdown=_DRAIN_SECONDS)
