"""What schemathesis makes of the service's own description: requests that it allows, and others.

Two kinds of cases pass that no schema can tell apart: JSON or bytes that are volumes, and such that
are not. So nothing says that a described body must be accepted; everything else is held to the
description.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import schemathesis
from hypothesis import strategies as st
from numpy.typing import NDArray
from schemathesis.engine import Status, events, from_schema
from serving_clients import npy
from serving_hostile_files import altered
from serving_hostile_wire import CLASSIFY, INVOCATIONS, PATIENCE, Played

_INFER = ("/v2/models/{model}/infer", "/v2/models/{model}/versions/{version}/infer")
_SHARE = 0.7  # of the cases that name the model in service
_EVERY = 4  # one body of so many holds volumes
_LONGEST = 900  # characters that are told of a problem


def play_schema(
    url: str, volume: NDArray[np.float32], *, examples: int, start: int
) -> list[Played]:
    """Up to so many cases of an operation in each phase; `start` is the seed."""
    good = st.sampled_from([npy(volume), volume.tobytes()])
    bodies = good | altered(npy(volume)) | st.binary()
    schemathesis.openapi.media_type("application/octet-stream", bodies)
    config = schemathesis.Config.from_dict(_config(examples, start))
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", config=config)
    inputs = _inputs(volume)

    @schema.hook
    def map_case(_: schemathesis.HookContext, case: schemathesis.Case) -> schemathesis.Case:
        """Now and then, what no schema comes upon."""
        allowed = case.meta is not None and case.meta.generation.mode.is_positive
        if allowed and isinstance(case.body, dict) and len(repr(case.body)) % _EVERY == 0:
            case.body = {**case.body, "inputs": inputs[case.operation.path]}
        return case

    played: list[Played] = []
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            played += _interactions(event)
        elif isinstance(event, events.NonFatalError | events.FatalError):
            played.append(Played("schemathesis", (), 0.0, f"{event}"[:_LONGEST]))
    return played


def _config(examples: int, start: int) -> dict[str, Any]:
    known = {"model": ["subtomogram-student"], "version": ["1", "production"], "length": ["0"]}
    places = ("path.model", "path.version", "header.Inference-Header-Content-Length")
    return {
        "seed": start,
        "continue-on-failure": True,
        "request-timeout": PATIENCE,
        "suppress-health-check": ["all"],
        "generation": {"max-examples": examples, "database": "none", "no-shrink": True},
        "dictionaries": {name: {"values": values} for name, values in known.items()},
        "parameters": {
            place: {"dictionary": name, "probability": _SHARE}
            for place, name in zip(places, known, strict=True)
        },
        # Whoever asks for an answer within a moment is told that there is none.
        "checks": {"not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", "504"]}},
        "operations": [
            {
                "include-path": [CLASSIFY, INVOCATIONS, *_INFER],
                "checks": {"positive_data_acceptance": {"enabled": False}},
            }
        ],
    }


def _inputs(volume: NDArray[np.float32]) -> dict[str, Any]:
    """Path -> the field `inputs` of JSON that is answered with 200."""
    numbers = volume.round(2)
    flat = {"shape": list(volume.shape), "data": numbers.ravel().tolist()}
    tensor = {"name": "volumes", "datatype": "FP32", **flat}
    return {INVOCATIONS: numbers.tolist(), **{path: [tensor] for path in _INFER}}


def _interactions(event: events.ScenarioFinished) -> Iterator[Played]:
    """Each request, and whatever check its answer failed."""
    for number, said in event.recorder.interactions.items():
        failed = "; ".join(
            f"{check.name}: {check.failure_info.failure.message} {check.failure_info.code_sample!a}"
            for check in event.recorder.checks.get(number, ())
            if check.status == Status.FAILURE and check.failure_info
        )[:_LONGEST]
        name = f"{event.phase.value} {event.recorder.label}"
        if said.response is None:
            yield Played(name, (), 0.0, f"no answer to {said.request.method} {said.request.uri}")
        else:
            yield Played(name, (said.response.status_code,), said.response.elapsed, failed)
