"""What the service can be asked."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response

from serving import work
from serving.answers import (
    Classification,
    ErrorAnswer,
    ModelFacts,
    Readiness,
)
from serving.errors import refusing
from serving.work import Asked, service
from tomodistill.inference.version import Manifest
from tomodistill.subtomograms.volumes import check_volumes, parse_volumes

router = APIRouter()

_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_BODY = {"requestBody": {"required": True, "content": _BINARY}}


_REASONS = {
    400: "neither .npy nor .mrc, truncated, or empty",
    413: "a body too large",
    415: "a body with a Content-Encoding",
    422: "volumes not for this model: wrong box or voxel spacing, NaN, constant",
    503: "no model is loaded; the reason",
}


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {s: {"model": ErrorAnswer, "description": _REASONS[s]} for s in statuses}


@router.get("/")
def overview() -> dict[str, str]:
    """Where to go."""
    return {
        "service": "tomodistill",
        "classify": "POST /classify, a .npy or .mrc file as the body",
        "model": "/model",
        "live": "/health/live",
        "ready": "/health/ready",
        "docs": "/docs",
    }


@router.post(
    "/classify",
    openapi_extra=_BODY,
    response_model=Classification,
    responses=_errors(400, 413, 415, 422, 503),
)
async def classify(request: Request) -> Response:
    """Classify one volume (d, d, d) or a stack (n, d, d, d): the bytes of a .npy or .mrc file."""
    answered = await work.classify(request, _parse)
    return Response(
        Classification.of_answer(answered).model_dump_json(by_alias=True),
        media_type="application/json",
    )


@router.get("/model", responses=_errors(503))
def model(request: Request) -> ModelFacts:
    """What the model in service expects, what it came from, and how good it is."""
    served = service(request).served()
    manifest = served.classifier.manifest
    known = asdict(manifest)
    return ModelFacts.of(
        served,
        engines=manifest.engines,
        class_names=manifest.class_names,
        box=manifest.box,
        voxel_spacing=manifest.voxel_spacing,
        contrast=manifest.contrast,
        preprocessing=known["preprocessing"],
        tilt_range=manifest.tilt_range,
        snr_range=manifest.snr_range,
        priors=served.priors or (known["calibration"] or {}).get("priors"),
        calibration=known["calibration"],
        unknown=known["unknown"],
        metrics=dict(manifest.metrics),
        tags=served.resolved.tags,
        refresh_error=service(request).follower.problem,
    )


@router.get("/health/live")
def live() -> dict[str, bool]:
    """The process answers."""
    return {"live": True}


@router.get("/health/ready", responses=_errors(503))
def ready(request: Request) -> Readiness:
    """There is a model to classify with."""
    served = service(request).served()
    return Readiness(
        version=served.resolved.version,
        device=served.classifier.engine.device,
        refresh_error=service(request).follower.problem,
    )


def _parse(_: Manifest, body: bytearray) -> Asked:
    with refusing(400):
        array, voxel_spacing = parse_volumes(body)
    with refusing(422):
        return Asked(check_volumes(array), voxel_spacing)
