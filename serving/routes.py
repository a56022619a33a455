"""What the service can be asked."""

from dataclasses import asdict
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from serving import work
from serving.answers import (
    Classification,
    ModelFacts,
    Readiness,
    refusals,
    write,
)
from serving.errors import refusing
from serving.stated import Stated
from serving.work import Asked, service
from tomodistill.inference.version import Manifest
from tomodistill.subtomograms.volumes import parse_volumes

router = APIRouter()

_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_HOW = "The bytes of the file: `curl --data-binary @particle.npy http://127.0.0.1:8000/classify`"
_BODY = {"requestBody": {"required": True, "content": _BINARY, "description": _HOW}}


@router.get("/")
def overview() -> dict[str, str]:
    """Where to go."""
    return {
        "service": "tomodistill",
        "classify": "POST /classify: curl --data-binary @particle.npy (or .mrc)",
        "model": "/model",
        "live": "/health/live",
        "ready": "/health/ready",
        "docs": "/docs",
    }


@router.post(
    "/classify",
    openapi_extra=_BODY,
    response_model=Classification,
    responses=refusals(400, 408, 413, 415, 422, 429, 503, 504),
)
async def classify(request: Request, stated: Annotated[Stated, Query()]) -> Response:
    """Classify one volume (d, d, d) or a stack (n, d, d, d): the bytes of a .npy or .mrc file.

    Finer or larger boxes than the model's are brought to its own; the answer says what was done.
    """
    answered = await work.classify(request, partial(_parse, stated))
    return await write(request, answered, Classification.of_answer)


@router.get("/model", responses=refusals(503))
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


@router.get("/health/live", responses=refusals(503))
async def live(request: Request) -> dict[str, bool]:
    """The process answers, and its engine comes back; if not, only a restart helps."""
    service(request).check_alive()
    return {"live": True}


@router.get("/health/ready", responses=refusals(503))
async def ready(request: Request) -> Readiness:
    """There is a model to classify with, and the service was not told to stop."""
    served = service(request).ready()
    return Readiness(
        version=served.resolved.version,
        device=served.classifier.engine.device,
        refresh_error=service(request).follower.problem,
    )


def _parse(stated: Stated, _: Manifest, body: bytearray) -> Asked:
    with refusing(400):
        parsed = parse_volumes(body)
    with refusing(422):
        return stated.asked(parsed)
