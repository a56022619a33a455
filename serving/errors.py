"""Every error is JSON, {"error": "..."}, and no exception leaves the application."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tomodistill.errors import InputError

_log = logging.getLogger(__name__)


@contextmanager
def refusing(status: int) -> Iterator[None]:
    """Whatever the block finds wrong with the input is answered with `status`."""
    try:
        yield
    except InputError as error:
        raise HTTPException(status, str(error)) from error


def wrong_field(error: Mapping[str, Any]) -> str:
    """One of pydantic's errors, in our words."""
    name, found = error["loc"][-1], error["input"]
    return f"expected {name} as /docs describes it; found {found!r:.100}. {error['msg']}."


def add_error_answers(app: FastAPI) -> None:
    """Make every error of `app` JSON."""
    app.add_exception_handler(HTTPException, _answer)
    app.add_exception_handler(RequestValidationError, _wrong_parameter)
    app.add_exception_handler(ClientDisconnect, _nobody_listens)
    app.add_middleware(_CatchAll)


async def _answer(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


async def _wrong_parameter(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return JSONResponse({"error": wrong_field(error.errors()[0])}, 422)


async def _nobody_listens(_: Request, __: Exception) -> JSONResponse:
    return JSONResponse({"error": "the client left"}, 499)  # for the log


class _CatchAll:
    """An exception handler for Exception would answer, then raise again: the connection breaks."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception:
            if started or scope["type"] != "http":
                raise  # too late for an answer: the server closes the connection
            _log.exception("%s %s failed", scope["method"], scope["path"])
            answer = JSONResponse({"error": "internal error; the service's log has it"}, 500)
            await answer(scope, receive, send)
