"""What the answers of the service look like, for its description."""

from typing import Any

_MODEL = {
    "name": "subtomogram-student",
    "version": "3",
    "alias": "production",
    "run_id": "6d1f0c6a0b7f4b5f9d0e6f5d1c2b3a49",
    "student": "s3",
    "labels": "soft",
    "temperature": 5.0,
    "teacher": "5f" * 32,
    "soft_labels": "a7" * 32,
    "data": "c3" * 32,
}
_COMPUTED = {
    "model": _MODEL,
    "engine": "openvino",
    "precision": "float32",
    "device": "cpu: 8 cores",
    "why": "the fastest engine whose gate passed",
}
_PREDICTION = {
    "class": "ribosome",
    "probability": 0.93,
    "probabilities": {"ribosome": 0.93, "proteasome": 0.05, "chaperonin": 0.02},
    "unknown": False,
    "score": 0.93,
}

_TAKEN = {
    "box": 80,
    "voxel_spacing": 5.0,
    "contrast": "dark",
    "rescaled": True,
    "assumed": ["contrast"],
}

# Model of an answer -> what it may say.
MODELS: dict[str, Any] = {
    "ErrorAnswer": {"error": "expected a .npy or .mrc file as the body; found nothing"},
    "Classification": {**_COMPUTED, "predictions": [_PREDICTION], "input": _TAKEN},
    "Taken": _TAKEN,
    "Invocation": {
        **_COMPUTED,
        "predictions": [[0.93, 0.05, 0.02]],
        "class_names": ["ribosome", "proteasome", "chaperonin"],
        "unknown": [False],
        "input": _TAKEN,
    },
    "ModelFacts": {
        **_COMPUTED,
        "engines": {"openvino": {"float32": {"agreement": 1.0, "passed": True}}},
        "class_names": ["ribosome", "proteasome", "chaperonin"],
        "box": 40,
        "voxel_spacing": 10.0,
        "contrast": "dark",
        "preprocessing": {"lowpass": 30.0, "crop": 0},
        "tilt_range": [-60.0, 60.0],
        "snr_range": [0.1, 0.5],
        "priors": {"ribosome": 0.5, "proteasome": 0.25, "chaperonin": 0.25},
        "calibration": {"temperature": 1.4, "measured": {"ece": 0.02}},
        "unknown": {"score": "max_probability", "threshold": 0.6},
        "metrics": {"test/accuracy": 0.95},
        "tags": {"student": "s3"},
        "refresh_error": None,
    },
    "ServerMetadata": {
        "name": "tomodistill",
        "version": "0.1.0",
        "extensions": ["binary_tensor_data", "model_repository"],
    },
    "ModelMetadata": {
        "name": "subtomogram-student",
        "versions": ["3"],
        "platform": "tomodistill_openvino",
        "inputs": [{"name": "volumes", "datatype": "FP32", "shape": [-1, 40, 40, 40]}],
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]},
            {"name": "class_name", "datatype": "BYTES", "shape": [-1]},
            {"name": "class", "datatype": "INT64", "shape": [-1]},
        ],
    },
    "InferenceAnswer": {
        "model_name": "subtomogram-student",
        "model_version": "3",
        "id": "tomogram 7, 1 to 2",
        "parameters": {
            "alias": "production",
            "student": "s3",
            "teacher": "5f" * 32,
            "data": "c3" * 32,
            "engine": "openvino",
            "voxel_spacing": 10.0,
            "contrast": "dark",
            "assumed": "",
        },
        "outputs": [
            {
                "name": "class_name",
                "datatype": "BYTES",
                "shape": [2],
                "data": ["ribosome", "unknown"],
            }
        ],
    },
    "Live": {"live": True},
    "Ready": {"ready": True},
    "Readiness": {
        "ready": True,
        "version": "3",
        "device": "cpu: 8 cores",
        "refresh_error": None,
    },
    "Reloaded": {"model": _MODEL, "changed": True},
}
# Path -> the answer of a route that has no model of its own.
ANSWERS: dict[str, Any] = {
    "/": {"service": "tomodistill", "model": "/model", "docs": "/docs"},
    "/health/live": {"live": True},
    "/ping": {"ready": True},
    "/v2/repository/index": [
        {"name": "subtomogram-student", "version": "3", "state": "READY", "reason": ""}
    ],
}
