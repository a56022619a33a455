"""The Open Inference Protocol v2: what `tritonclient` and the KServe SDK speak."""

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Header, HTTPException, Request, Response

from serving import work
from serving.answers import UNKNOWN_CLASS, ModelVersion, refusals
from serving.errors import refusing
from serving.loading import Served
from serving.messages import (
    BINARY,
    LONGEST_NAME,
    VOLUMES,
    InferenceAnswer,
    InferenceRequest,
    Live,
    ModelMetadata,
    ModelState,
    Ready,
    ServerMetadata,
    TensorMetadata,
    body_description,
)
from serving.tensors import Tensor, chosen_outputs, read_request, write_answer
from serving.work import Answered, Asked, service
from tomodistill import __version__
from tomodistill.inference.classifier import Decisions
from tomodistill.inference.confidence import UNKNOWN
from tomodistill.inference.version import Manifest
from tomodistill.subtomograms.volumes import check_volumes

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol v2"])

_MODEL = "/models/{model}"
_VERSION = "/models/{model}/versions/{version}"  # its number, or the alias that it is served by
_JSON_LENGTH = "Inference-Header-Content-Length"
_ABOUT_LENGTH = "bytes of JSON before the binary data; 0: float32 volumes are all there is"
_MICROSECONDS = 1e6  # in a second


@router.get("")
async def server_metadata() -> ServerMetadata:
    """The service, and which extensions of the protocol it knows."""
    extensions = ["binary_tensor_data", "model_repository"]
    return ServerMetadata(name="tomodistill", version=__version__, extensions=extensions)


@router.get("/health/live", responses=refusals(503))
async def server_live(request: Request) -> Live:
    """The process answers, and its engine comes back; if not, only a restart helps."""
    service(request).check_alive()
    return Live()


@router.get("/health/ready", responses=refusals(503))
async def server_ready(request: Request) -> Ready:
    """There is a model to classify with, and the service was not told to stop."""
    service(request).ready()
    return Ready()


@router.post("/repository/index", responses=refusals(503))
async def repository_index(request: Request) -> list[ModelState]:
    """The one model in service."""
    resolved = service(request).served().resolved
    return [ModelState(name=resolved.name, version=resolved.version)]


@router.get(f"{_MODEL}/ready", responses=refusals(404, 503))
@router.get(f"{_VERSION}/ready", responses=refusals(404, 503))
async def model_ready(request: Request, model: str, version: str | None = None) -> Ready:
    """This is the model, and the version if one is named, that serves."""
    _check_named(service(request).ready(), model, version)
    return Ready()


@router.get(_MODEL, responses=refusals(404, 503))
@router.get(_VERSION, responses=refusals(404, 503))
async def model_metadata(request: Request, model: str, version: str | None = None) -> ModelMetadata:
    """What the model takes and gives."""
    served = service(request).served()
    _check_named(served, model, version)
    manifest = served.classifier.manifest
    return ModelMetadata(
        name=served.resolved.name,
        versions=[served.resolved.version],
        platform=f"tomodistill_{served.classifier.engine.name}",
        inputs=[TensorMetadata(name=VOLUMES, datatype="FP32", shape=[-1] + [manifest.box] * 3)],
        outputs=_outputs(manifest),
    )


_INFERENCE: dict[str, Any] = {
    "response_model": InferenceAnswer,
    "responses": {200: {"content": BINARY}} | refusals(400, 404, 408, 413, 415, 422, 429, 503, 504),
    "openapi_extra": body_description(),
}


@router.post(f"{_MODEL}/infer", **_INFERENCE)
@router.post(f"{_VERSION}/infer", **_INFERENCE)
async def infer(
    request: Request,
    model: str,
    version: str | None = None,
    json_length: Annotated[
        str | None, Header(alias=_JSON_LENGTH, description=_ABOUT_LENGTH)
    ] = None,
) -> Response:
    """Classify the tensor `volumes`: (n, d, d, d), or one (d, d, d)."""
    _check_named(service(request).served(), model, version)  # before the body is read
    inference = _Inference(json_length)
    answered = await work.classify(request, inference.parse)
    _check_named(answered.served, model, version)  # another may have taken over in between
    return inference.response(answered)


class _Inference:
    """One request on its way through the service."""

    def __init__(self, json_length: str | None) -> None:
        self._json_length = json_length
        self._request: InferenceRequest
        self._binary: dict[str, bool]

    def parse(self, manifest: Manifest, body: bytearray) -> Asked:
        """What the body asks of a model with that manifest."""
        with refusing(400):
            self._request, array = read_request(body, self._json_length, box=manifest.box)
            names = [output.name for output in _outputs(manifest)]
            self._binary = chosen_outputs(self._request, names)
        with refusing(422):
            volumes = check_volumes(array)
        wishes = self._request.parameters
        return Asked(
            volumes,
            voxel_spacing=wishes.voxel_spacing,
            contrast=None if wishes.contrast == "auto" else wishes.contrast,
            seconds=wishes.timeout / _MICROSECONDS if wishes.timeout else None,
        )

    def response(self, answered: Answered) -> Response:
        """The outputs that were asked for, as they were asked for."""
        served = answered.served
        head = {
            "model_name": served.resolved.name,
            "model_version": served.resolved.version,
            "parameters": _facts(answered),
            **({"id": self._request.id} if self._request.id else {}),
        }
        tensors = _tensors(answered.decisions, served.classifier.manifest)
        body, length = write_answer(head, tensors, binary=self._binary)
        if not any(self._binary.values()):
            return Response(body, media_type="application/json")
        return Response(
            body, media_type="application/octet-stream", headers={_JSON_LENGTH: f"{length}"}
        )


def _check_named(served: Served, model: str, version: str | None) -> None:
    """Raises HTTPException 404 unless these are the name and the version or alias in service."""
    resolved = served.resolved
    if model != resolved.name or version not in (None, resolved.version, resolved.alias):
        alias = f", by the alias {resolved.alias}" if resolved.alias else ""
        named = f"{model[:LONGEST_NAME]!r}" + (f" {version[:LONGEST_NAME]!r}" if version else "")
        raise HTTPException(
            404,
            f"expected {resolved.name} in version {resolved.version}{alias}, which is in service; "
            f"found {named}. Leave the version out to ask whichever serves.",
        )


def _outputs(manifest: Manifest) -> list[TensorMetadata]:
    """What a model with that manifest gives, of n volumes."""
    shapes = {"probabilities": ("FP32", [-1, len(manifest.class_names)])}
    shapes |= {"class_name": ("BYTES", [-1]), "class": ("INT64", [-1])}
    if manifest.unknown:
        shapes |= {"unknown": ("BOOL", [-1]), "score": ("FP64", [-1])}
    return [TensorMetadata(name=n, datatype=d, shape=s) for n, (d, s) in shapes.items()]


def _tensors(decisions: Decisions, manifest: Manifest) -> dict[str, Tensor]:
    """The values of `_outputs`; what is rejected is of class -1 and of no class's name."""
    names = np.array([*manifest.class_names, UNKNOWN_CLASS])  # the last is at -1
    assert UNKNOWN == -1
    tensors = {
        "probabilities": Tensor("FP32", decisions.probabilities),
        "class_name": Tensor("BYTES", names[decisions.classes]),
        "class": Tensor("INT64", decisions.classes),
    }
    if decisions.scores is not None:
        tensors["unknown"] = Tensor("BOOL", decisions.classes == UNKNOWN)
        tensors["score"] = Tensor("FP64", decisions.scores)
    return tensors


def _facts(answered: Answered) -> dict[str, Any]:
    """Which model answered, what it came from, and what the volumes were taken for."""
    served, engine = answered.served, answered.served.classifier.engine
    lineage = ModelVersion.of(served).model_dump(exclude={"name", "version"}, exclude_none=True)
    computed = {"engine": engine.name, "precision": engine.precision, "device": engine.device}
    taken = {name: value for name, value in vars(answered.prepared).items() if name != VOLUMES}
    return {**lineage, **computed, **taken, "assumed": ", ".join(answered.prepared.assumed)}
