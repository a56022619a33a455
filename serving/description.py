"""The OpenAPI description, where it says more than the routes: examples, tokens, refusals of all.

Examples stand at the models of answers, by the models' names; so each answer of each protocol
shows one, and a test holds every one to its schema.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

from fastapi import FastAPI

from serving.access import is_open
from serving.examples import ANSWERS, MODELS

Json: TypeAlias = dict[str, Any]

TEXT = """Classifies particles of cryo-electron tomograms with the student in production.

Send the bytes of a file, one volume or a stack, and get the class of each:

    curl --data-binary @particle.npy http://127.0.0.1:8000/classify

Every answer names the version that gave it and what that was made from. Every error is
`{"error": "..."}` and says what was expected, what was found and what to do.
"""

_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
_REFUSALS = {
    "400": "the Host is not one that the service is known by",
    "403": "a page of another site asks, or administration is not set up",
}
_NO_TOKEN = {"401": "no token, or one that is not known; only where tokens are set"}
_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "description": "needed where the service was started with tokens=FILE; /reload needs one of "
    "admin_tokens=FILE",
}
# FastAPI's own answer to a wrong parameter, which ours replaces.
_INVALID, _INVALID_PART = "HTTPValidationError", "ValidationError"


def describe(app: FastAPI) -> None:
    """Complete what FastAPI finds out about the routes of `app`."""
    found = app.openapi

    def openapi() -> Json:
        if app.openapi_schema is None:
            _complete(found())
        assert app.openapi_schema is not None  # FastAPI keeps what it found
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(schema: Json) -> None:
    components = schema["components"]
    components["securitySchemes"] = {"token": _TOKEN}
    for name, example in MODELS.items():
        components["schemas"][name]["examples"] = [example]
    for path, operation in _operations(schema):
        _complete_operation(operation, {} if is_open(path) else _NO_TOKEN)
        if path in ANSWERS:
            operation["responses"]["200"]["content"]["application/json"]["example"] = ANSWERS[path]
    for name in (_INVALID, _INVALID_PART):
        components["schemas"].pop(name, None)


def _operations(schema: Json) -> Iterator[tuple[str, Json]]:
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            yield path, operation


def _complete_operation(operation: Json, unauthorised: dict[str, str]) -> None:
    responses = operation["responses"]
    for status, description in (_REFUSALS | unauthorised).items():
        responses.setdefault(status, {"description": description, "content": _ERROR})
    if _INVALID in str(responses.get("422")):
        responses["422"]["content"] = _ERROR
    if unauthorised:
        operation["security"] = [{"token": []}, {}]
