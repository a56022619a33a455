"""The application: routes, error answers, and the thread that follows the model."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from serving import administration, invocations, oip, operations
from serving.access import add_guard, warn_if_open
from serving.cache import LastGood
from serving.config import ServiceConfig
from serving.description import TEXT, describe
from serving.errors import add_error_answers
from serving.follower import Follower
from serving.headers import SecurityHeaders
from serving.loading import Download, Loader
from serving.metrics import Metrics
from serving.observing import Observed
from serving.pages import add_pages
from serving.patience import InTime, Resolve
from serving.routes import router
from serving.work import Service
from tomodistill import __version__


def create_app(
    config: ServiceConfig, *, resolve: Resolve, download: Download, store: str = ""
) -> FastAPI:
    """An application that serves what `config.model` points to, and follows it.

    It starts without a model, answers 503 with the reason until the first is loaded, and keeps
    trying. `resolve` finds the version of a URI, `download` brings it into a cache; `store` tells
    apart the registries that share a cache.
    """
    metrics = Metrics()
    loader = Loader(download, config.cache_folder, config.engine, config.precision, config.shares)
    follower = Follower(
        config.model,
        resolve=InTime(resolve, config.registry_seconds),
        load=loader.load,
        last_good=LastGood(config.cache_folder, store=store, uri=config.model),
        metrics=metrics,
    )
    service = Service(config, follower, metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        warn_if_open(config)
        with follower.following(config.poll_seconds):
            yield
        service.close()

    app = FastAPI(
        title="tomodistill",
        description=TEXT,
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # it asks anew each time
    )
    app.state.service = service
    app.include_router(router)
    app.include_router(oip.router)
    app.include_router(invocations.router)
    app.include_router(operations.router)
    app.include_router(administration.router)
    add_pages(app)
    describe(app)
    add_guard(app, config)  # a middleware stands around those before it
    add_error_answers(app)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Observed, metrics=service.metrics, all_requests=config.log == "json")
    return app
