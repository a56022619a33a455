"""The messages of the Open Inference Protocol v2, with Triton's extension for binary data.

https://github.com/kserve/open-inference-protocol
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, FailFast, Field, model_validator

VOLUMES = "volumes"  # the name of the one input
LONGEST_NAME = 40  # characters of a client's that an error repeats
_INT64 = 2**63
BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}

Datatype = Literal[
    "FP16", "FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"
]
_EXAMPLE = {
    "id": "tomogram 7, 1 to 2",
    "parameters": {"voxel_spacing": 10.0, "contrast": "dark", "binary_data_output": False},
    "inputs": [
        {
            "name": VOLUMES,
            "shape": [2, 40, 40, 40],
            "datatype": "FP32",
            "parameters": {"binary_data_size": 512_000},
        }
    ],
    "outputs": [{"name": "class_name"}, {"name": "probabilities"}],
}
Edge = Annotated[int, Field(gt=0, lt=2**31)]


class _Parameters(BaseModel):
    """Nothing but what is known: a misspelt voxel spacing would not be heard."""

    # Not "forbid": it would describe each of a million unknown names.
    model_config = ConfigDict(
        strict=True, extra="allow", json_schema_extra={"additionalProperties": False}
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        for name in self.model_extra or ():
            known = ", ".join(type(self).model_fields)
            raise ValueError(f"{name[:LONGEST_NAME]!r} is none of {known}")
        return self


class RequestParameters(_Parameters):
    """What one may ask beside the volumes."""

    binary_data_output: bool = Field(
        default=False, description="answer in binary data, not in JSON"
    )
    timeout: int | None = Field(
        default=None, ge=0, lt=_INT64, description="microseconds to be answered within; 0: no wish"
    )
    voxel_spacing: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="Å, of the volumes; null: the model's"
    )
    contrast: Literal["auto", "dark", "bright"] = Field(
        default="auto", description="of the particle; auto: as the model was trained"
    )


class InputParameters(_Parameters):
    """Where the numbers are."""

    binary_data_size: int | None = Field(
        default=None,
        ge=0,
        lt=_INT64,
        description="bytes behind the JSON; null: the numbers are in `data`",
    )


class OutputParameters(_Parameters):
    """How to send it."""

    binary_data: bool | None = Field(default=None, description="null: as binary_data_output says")


class InputTensor(BaseModel):
    """Volumes (n, d, d, d), or one (d, d, d), in z, y, x order."""

    model_config = ConfigDict(strict=True)

    name: Literal["volumes"]
    shape: Annotated[list[Edge], FailFast(), Field(min_length=3, max_length=4)]
    datatype: Datatype
    parameters: InputParameters = InputParameters()
    data: list[Any] | None = Field(
        default=None, description="numbers, flat or nested as the shape says"
    )


class RequestedOutput(BaseModel):
    """One of the outputs that the model's metadata name."""

    model_config = ConfigDict(strict=True)

    name: str
    parameters: OutputParameters = OutputParameters()


class InferenceRequest(BaseModel):
    """The JSON before the binary data, or all of the body."""

    model_config = ConfigDict(strict=True)

    id: str = Field(default="", max_length=1024, description="comes back with the answer")
    parameters: RequestParameters = RequestParameters()
    inputs: Annotated[list[InputTensor], FailFast(), Field(min_length=1, max_length=1)]
    outputs: Annotated[list[RequestedOutput], FailFast(), Field(max_length=8)] = Field(
        default=[], description="none: all"
    )


class OutputTensor(BaseModel):
    """One output of the model."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, int] | None = Field(
        default=None, description="binary_data_size, in bytes"
    )
    data: list[Any] | None = Field(default=None, description="null: it is behind the JSON")


class InferenceAnswer(BaseModel):
    """The JSON before the binary data, or all of the answer."""

    model_name: str
    model_version: str
    id: str | None = None
    parameters: dict[str, str | float | bool] = Field(
        description="which model answered, what it came from, and what the volumes were taken for"
    )
    outputs: list[OutputTensor]


class ServerMetadata(BaseModel):
    """Of the service."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    """Of an input or an output; an edge of -1 may be any."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    """Of the model in service."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ModelState(BaseModel):
    """One of the models that serve; a list of them is the repository's index."""

    name: str
    version: str
    state: Literal["READY"] = "READY"
    reason: str = ""


class Live(BaseModel):
    """The process answers."""

    live: Literal[True] = True


class Ready(BaseModel):
    """There is a model to classify with."""

    ready: Literal[True] = True


def body_description() -> dict[str, Any]:
    """The body of an inference for OpenAPI, which FastAPI does not see: it is read by hand."""
    schema = InferenceRequest.model_json_schema()
    json = {"schema": _inlined(schema, schema["$defs"]), "example": _EXAMPLE}
    about = "JSON; or JSON and behind it the bytes of the volumes, little-endian, row by row"
    return {
        "requestBody": {
            "description": about,
            "required": True,
            "content": {"application/json": json, **BINARY},
        }
    }


def _inlined(part: Any, definitions: dict[str, Any]) -> Any:
    """A JSON schema without references, which would point to another document's root."""
    if isinstance(part, list):
        return [_inlined(each, definitions) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        part = {**definitions[part["$ref"].rpartition("/")[2]], **part}
    return {k: _inlined(v, definitions) for k, v in part.items() if k not in ("$ref", "$defs")}
