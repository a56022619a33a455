"""The application: routes, error answers, and the thread that follows the model."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from serving.config import ServiceConfig
from serving.errors import add_error_answers
from serving.follower import Download, Follower, Resolve
from serving.routes import router
from serving.work import Service
from tomodistill import __version__


def create_app(config: ServiceConfig, *, resolve: Resolve, download: Download) -> FastAPI:
    """An application that serves what `config.model` points to, and follows it.

    It starts without a model, answers 503 with the reason until the first is loaded, and keeps
    trying. `resolve` finds the version of a URI, `download` brings it into a cache.
    """
    follower = Follower(
        config.model,
        cache=config.cache_folder,
        resolve=resolve,
        download=download,
        engine=config.engine,
        precision=config.precision,
        priors=config.shares,
    )

    service = Service(config, follower)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with follower.following(config.poll_seconds):
            yield
        service.close()

    app = FastAPI(
        title="tomodistill", version=__version__, lifespan=lifespan, redirect_slashes=False
    )
    app.state.service = service
    app.include_router(router)
    add_error_answers(app)
    return app
