"""MLflow's scoring protocol: what its client and the examples of its documentation speak."""

from importlib import metadata
from itertools import chain
from typing import Any, Self

import numpy as np
import orjson
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from serving import work
from serving.answers import Computed, Taken, refusals, write
from serving.body import check_json
from serving.errors import refusing, wrong_field
from serving.stated import Stated
from serving.work import Answered, Asked, service
from tomodistill.errors import InputError
from tomodistill.inference.confidence import UNKNOWN
from tomodistill.inference.version import Manifest
from tomodistill.subtomograms.volumes import Parsed

router = APIRouter(tags=["MLflow"])

_MLFLOW = metadata.version("mlflow")
_JSON = "application/json"
_FORMS = {"inputs", "instances"}  # MLflow's others are tables
_TENSOR, _PARAMS = "volumes", "params"
_LONGEST = 100  # characters of a client's that an error repeats
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            _JSON: {
                "schema": {
                    "type": "object",
                    "properties": {
                        "inputs": {"type": "array", "items": {}, "description": "(n, d, d, d)"},
                        _PARAMS: Stated.model_json_schema(),
                    },
                    "required": ["inputs"],
                },
                "example": {"inputs": [[[[0.5]]]], _PARAMS: {"voxel_spacing": 10.0}},
            }
        },
    }
}


class Invocation(Computed):
    """What MLflow's client reads, `predictions`, and what there is to say beside it."""

    predictions: list[list[float]] = Field(description="(n, classes) probabilities")
    class_names: tuple[str, ...] = Field(description="of the columns")
    unknown: list[bool] | None = Field(
        description="of each volume, whether it is like none of the classes; null: cannot tell"
    )
    input: Taken

    @classmethod
    def of_answer(cls, answered: Answered) -> Self:
        """What one request is told."""
        decisions = answered.decisions
        rejects = decisions.scores is not None
        return cls.of(
            answered.served,
            predictions=decisions.probabilities.tolist(),
            class_names=answered.served.classifier.manifest.class_names,
            unknown=(decisions.classes == UNKNOWN).tolist() if rejects else None,
            input=Taken.of(answered.prepared),
        )


@router.get("/ping", responses=refusals(503))
async def ping(request: Request) -> dict[str, bool]:
    """There is a model to classify with."""
    service(request).ready()
    return {"ready": True}


@router.get("/version", response_class=PlainTextResponse)
async def version() -> str:
    """Of MLflow, whose protocol this is."""
    return _MLFLOW


@router.post(
    "/invocations",
    openapi_extra=_BODY,
    response_model=Invocation,
    responses=refusals(400, 408, 413, 415, 422, 429, 503, 504),
)
async def invocations(request: Request) -> Response:
    """Classify volumes in nested lists (n, d, d, d); files for /classify are far faster."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _JSON:
        raise HTTPException(
            415, f"expected Content-Type {_JSON}; found {kind[:_LONGEST]!r}. Or ask /classify."
        )
    return await write(request, await work.classify(request, _parse), Invocation.of_answer)


def _parse(_: Manifest, body: bytearray) -> Asked:
    check_json(body)
    with refusing(400):
        sent = _object(body)
        (form,) = sent.keys() - {_PARAMS}
        array = _numbers(_tensor(sent[form]))
    with refusing(422):
        return _stated(sent.get(_PARAMS)).asked(Parsed(array))


def _object(body: bytearray) -> dict[str, Any]:
    """With one of the forms, and perhaps parameters."""
    try:
        sent = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _refusal("JSON", f"{error}") from error
    names = sent.keys() - {_PARAMS} if isinstance(sent, dict) else {type(sent).__name__}
    if len(names) != 1 or not names <= _FORMS:
        raise _refusal('an object with "inputs" or "instances"', ", ".join(sorted(names)))
    found: dict[str, Any] = sent
    return found


def _tensor(sent: Any) -> Any:
    """The one tensor that the model has, whether it is named or not."""
    if not isinstance(sent, dict):
        return sent
    if sent.keys() != {_TENSOR}:
        raise _refusal(f'the tensor "{_TENSOR}"', ", ".join(sorted(sent)))
    return sent[_TENSOR]


def _numbers(nested: Any) -> NDArray[np.float32]:
    """Of any shape up to (n, d, d, d); strings, which NumPy would read, are none."""
    leaves, kinds = [nested], {type(nested)}
    shape: list[int] = []
    while kinds == {list} and len(shape) < 4:
        lengths = set(map(len, leaves))
        if len(lengths) > 1:
            raise _refusal("lists of one length", "ragged ones")
        shape.append(lengths.pop())
        leaves = list(chain.from_iterable(leaves))
        kinds = set(map(type, leaves))
    if not kinds <= {int, float}:
        found = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise _refusal("numbers in lists as (n, d, d, d)", found)
    with np.errstate(over="ignore"):  # infinity is refused with the volumes
        return np.array(leaves, np.float32).reshape(shape)


def _stated(params: Any) -> Stated:
    if params is None:
        return Stated()
    if not isinstance(params, dict) or not params.keys() <= Stated.model_fields.keys():
        known = ", ".join(Stated.model_fields)
        raise _refusal(f'"{_PARAMS}" with {known}', f"{params!r}")
    try:
        return Stated.model_validate(params)
    except ValidationError as error:
        raise HTTPException(422, wrong_field(error.errors()[0])) from error


def _refusal(expected: str, found: str) -> InputError:
    return InputError(expected=expected, found=found[:_LONGEST], todo="See /invocations at /docs.")
