"""The JSON that the service answers with; OpenAPI shows these classes at /docs."""

import asyncio
from collections.abc import Callable
from typing import Any, Self

from fastapi import Request, Response
from pydantic import BaseModel, Field

from serving.loading import Served
from serving.work import Answered, service
from tomodistill.inference.classifier import Decisions
from tomodistill.inference.confidence import UNKNOWN
from tomodistill.inference.preparation import Prepared
from tomodistill.subtomograms.preprocessing import Contrast

UNKNOWN_CLASS = "unknown"  # in the place of a class name
_MANY = 64  # volumes; an answer on more would keep the event loop from others


class ErrorAnswer(BaseModel):
    """Every answer that is not a success."""

    error: str


_REFUSALS = {
    400: "a malformed body",
    404: "another model, or another version than the one in service",
    408: "the body did not arrive in time",
    413: "a body too large",
    415: "a Content-Encoding other than gzip and deflate",
    422: "volumes not for this model: wrong box or voxel spacing, NaN, constant",
    429: "too many volumes are waiting; Retry-After says when to try again",
    503: "no model is loaded, or its engine failed; the reason",
    504: "the deadline passed before the volumes had their turn",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI shows of answers with these statuses."""
    return {s: {"model": ErrorAnswer, "description": _REFUSALS[s]} for s in statuses}


class ModelVersion(BaseModel):
    """Which model answered, and what it came from."""

    name: str
    version: str
    alias: str | None = Field(description="alias or stage it was found by")
    run_id: str | None = Field(description="run that trained it")
    student: str = Field(description="architecture")
    labels: str | None = Field(description="what it learned from: soft or hard labels")
    temperature: float | None = Field(description="of the soft labels")
    teacher: str | None = Field(description="digest of the teacher")
    soft_labels: str | None = Field(description="digest of the soft labels")
    data: str | None = Field(description="digest of the training data")

    @classmethod
    def of(cls, served: Served) -> Self:
        """Registry facts and lineage of a served model."""
        manifest, resolved = served.classifier.manifest, served.resolved
        return cls(
            name=resolved.name,
            version=resolved.version,
            alias=resolved.alias,
            run_id=resolved.run_id,
            student=manifest.network,
            labels=manifest.training.get("labels"),
            temperature=manifest.training.get("temperature"),
            **{name: manifest.digests.get(name) for name in ("teacher", "soft_labels", "data")},
        )


class Prediction(BaseModel):
    """Of one volume."""

    class_name: str = Field(
        serialization_alias="class", description='the most probable class, or "unknown"'
    )
    probability: float = Field(description="of the most probable class")
    probabilities: dict[str, float] = Field(description="of every class, in label order")
    unknown: bool | None = Field(
        description="whether it is like none of the classes; null: this version cannot tell"
    )
    score: float | None = Field(
        description="the higher, the more like a class; unknown below the threshold in /model"
    )

    @classmethod
    def of(cls, decisions: Decisions, row: int, class_names: tuple[str, ...]) -> Self:
        """What was decided of volume `row`; `class_names` in label order."""
        by_class = dict(zip(class_names, decisions.probabilities[row].tolist(), strict=True))
        best = class_names[int(decisions.probabilities[row].argmax())]
        rejected = bool(decisions.classes[row] == UNKNOWN)
        score = None if decisions.scores is None else float(decisions.scores[row])
        return cls(
            class_name=UNKNOWN_CLASS if rejected else best,
            probability=by_class[best],
            probabilities=by_class,
            unknown=None if score is None else rejected,
            score=score,
        )


class Computed(BaseModel):
    """Which model answers, and how it is computed."""

    model: ModelVersion
    engine: str = Field(description="what runs the network: keras or openvino")
    precision: str = Field(description="that it computes in")
    device: str
    why: str = Field(description="why by this engine in this precision")

    @classmethod
    def of(cls, served: Served, **more: Any) -> Self:
        """With `more`, the fields of the answer itself."""
        engine = served.classifier.engine
        return cls(
            model=ModelVersion.of(served),
            engine=engine.name,
            precision=engine.precision,
            device=engine.device,
            why=served.classifier.why,
            **more,
        )


class Taken(BaseModel):
    """What the volumes were taken for, and what was made of them."""

    box: int = Field(description="voxels of each edge that were used, around the centre")
    voxel_spacing: float = Field(description="Å, of the volumes that were sent")
    contrast: Contrast = Field(description="likewise")
    rescaled: bool = Field(description="whether they were brought to the voxels of the model")
    assumed: list[str] = Field(
        description="voxel_spacing, contrast: what nobody stated is taken to be as the model's"
    )

    @classmethod
    def of(cls, prepared: Prepared) -> Self:
        """What was done before the network saw them."""
        return cls(
            box=prepared.box,
            voxel_spacing=prepared.voxel_spacing,
            contrast=prepared.contrast,
            rescaled=prepared.rescaled,
            assumed=list(prepared.assumed),
        )


class Classification(Computed):
    """Predictions in the order of the volumes that were sent."""

    predictions: list[Prediction]
    input: Taken

    @classmethod
    def of_answer(cls, answered: Answered) -> Self:
        """What one request is told."""
        names = answered.served.classifier.manifest.class_names
        count = len(answered.prepared.volumes)
        rows = [Prediction.of(answered.decisions, row, names) for row in range(count)]
        return cls.of(answered.served, predictions=rows, input=Taken.of(answered.prepared))


class ModelFacts(Computed):
    """What the model expects and how good it is."""

    engines: dict[str, Any] = Field(
        description="engine -> precision -> how it did on the validation part"
    )
    class_names: tuple[str, ...]
    box: int = Field(description="voxels")
    voxel_spacing: float = Field(description="Å")
    contrast: str = Field(description="of the particle in the volumes to send: dark or bright")
    preprocessing: dict[str, Any] = Field(description="done by the service")
    tilt_range: tuple[float | None, float | None] = Field(
        description="degrees, of the training data; null: not known"
    )
    snr_range: tuple[float | None, float | None] = Field(
        description="of the training data; null: not known"
    )
    priors: dict[str, float] | None = Field(
        description="share of each class that probabilities assume; null: not known"
    )
    calibration: dict[str, Any] | None = Field(
        description="temperature of the probabilities and what it gave; null: not calibrated"
    )
    unknown: dict[str, Any] | None = Field(
        description="score and threshold of what is like no class, and how well they tell it"
    )
    metrics: dict[str, float | None]
    tags: dict[str, str] = Field(description="of the version in the registry")
    refresh_error: str | None = Field(description="why a newer version does not serve")


class Readiness(BaseModel):
    """The service has a model; 503 otherwise."""

    ready: bool = True
    version: str
    device: str
    refresh_error: str | None = Field(description="why a newer version does not serve")


async def write(
    request: Request, answered: Answered, of: Callable[[Answered], BaseModel]
) -> Response:
    """The JSON of what one request is told; a long one is written in a thread."""

    def json() -> str:
        return of(answered).model_dump_json(by_alias=True)

    many = len(answered.prepared.volumes) > _MANY
    pool = service(request).pool
    body = await asyncio.get_running_loop().run_in_executor(pool, json) if many else json()
    return Response(body, media_type="application/json")
