"""The JSON that the service answers with; OpenAPI shows these classes at /docs."""

from typing import Any, Self

from pydantic import BaseModel, Field

from serving.follower import Served
from serving.work import Answered
from tomodistill.inference.classifier import Decisions
from tomodistill.inference.confidence import UNKNOWN

UNKNOWN_CLASS = "unknown"  # in the place of a class name


class ErrorAnswer(BaseModel):
    """Every answer that is not a success."""

    error: str


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


class Classification(Computed):
    """Predictions in the order of the volumes that were sent."""

    predictions: list[Prediction]

    @classmethod
    def of_answer(cls, answered: Answered) -> Self:
        """What one request is told."""
        names = answered.served.classifier.manifest.class_names
        count = len(answered.prepared.volumes)
        rows = [Prediction.of(answered.decisions, row, names) for row in range(count)]
        return cls.of(answered.served, predictions=rows)


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
    tilt_range: tuple[float, float] = Field(description="degrees, of the training data")
    snr_range: tuple[float, float] = Field(description="of the training data")
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
