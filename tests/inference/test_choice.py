from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pynvml
import pytest

from tests.versions import FAILED, PASSED
from tomodistill.errors import InputError
from tomodistill.inference import choice, openvino_engine
from tomodistill.inference.choice import check_choice, open_engine
from tomodistill.inference.classifier import Classifier
from tomodistill.inference.version import Manifest, read_manifest


@pytest.fixture
def fast(openvino_folder: Path, on: Any) -> Manifest:
    on("float32")
    return read_manifest(openvino_folder)


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A machine whose CPU has those precisions, and whose Keras has that device."""

    def set_up(*precisions: str, device: str = "cpu:0") -> None:
        of_cpu = replace(choice._KINDS["openvino"], precisions=lambda: precisions)
        monkeypatch.setitem(choice._KINDS, "openvino", of_cpu)
        monkeypatch.setattr(choice, "_may_have_gpu", lambda: device != "cpu:0")
        monkeypatch.setattr(choice, "_keras_device", lambda: device)

    return set_up


def gated(manifest: Manifest, **figures: Any) -> Manifest:
    """The manifest, in which OpenVINO reached these figures and no others."""
    reached = {precision: asdict(of) for precision, of in figures.items()}
    return replace(manifest, engines={"keras": {"float32": {}}, "openvino": reached})


def opened(folder: Path, manifest: Manifest, **choices: str) -> tuple[str, str, str]:
    engine, why = open_engine(folder, manifest, **choices)
    return engine.name, engine.precision, why


def test_a_cpu_has_openvino_in_its_fastest_precision_that_passed(
    openvino_folder: Path, fast: Manifest, on: Any
) -> None:
    found = opened(openvino_folder, fast)
    words = "decides 1 of 40 items as the reference does"
    assert found == ("openvino", "float32", f"no GPU is here; float32 {words}")
    on("float32", "bfloat16", "float16")
    found = opened(openvino_folder, fast)
    assert found == ("openvino", "bfloat16", f"no GPU is here; bfloat16 {words}")
    manifest = gated(fast, float32=PASSED, bfloat16=FAILED, float16=FAILED)
    assert opened(openvino_folder, manifest)[:2] == ("openvino", "float32")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"files": {}}, "a version without OpenVINO's files; float32 is the reference"),
        ({"engines": {"keras": {}}}, "a version never measured with openvino in float32; "),
        (
            {"engines": {"openvino": {"float32": asdict(FAILED)}}},
            "figures that did not pass: agreement 0.8, accuracy 0.7, reference_accuracy 0.9, "
            "largest_difference 1e-05, items 40; ",
        ),
    ],
)
def test_keras_serves_where_openvino_cannot_and_says_why(
    openvino_folder: Path, fast: Manifest, change: dict[str, Any], why: str
) -> None:
    name, precision, words = opened(openvino_folder, replace(fast, **change))
    assert (name, precision) == ("keras", "float32")
    assert words.startswith(why)


def test_without_openvino_keras_serves(
    openvino_folder: Path, fast: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_engine, "installed", lambda: False)
    assert opened(openvino_folder, fast)[0] == "keras"
    with pytest.raises(InputError, match="engine=openvino; found no OpenVINO on this machine"):
        open_engine(openvino_folder, fast, engine="openvino")


@pytest.mark.parametrize("passed", [True, False])
def test_a_gpu_has_keras_in_a_precision_that_passed(
    openvino_folder: Path, fast: Manifest, on: Any, passed: bool
) -> None:
    on("float32", "bfloat16", device="gpu:0")
    figures = {"float32": {}, "bfloat16": asdict(replace(PASSED, passed=passed))}
    manifest = replace(fast, engines={**fast.engines, "keras": figures})
    expected = "bfloat16" if passed else "float32"
    name, precision, why = opened(openvino_folder, manifest)
    assert (name, precision) == ("keras", expected)
    assert why.startswith(f"the device is gpu:0; {expected} ")
    assert opened(openvino_folder, fast, engine="openvino")[:2] == ("openvino", "bfloat16")


def test_a_gpu_that_keras_cannot_use_is_none(
    openvino_folder: Path, fast: Manifest, on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "_may_have_gpu", lambda: True)
    assert opened(openvino_folder, fast)[0] == "openvino"


@pytest.mark.parametrize(
    ("count", "visible", "expected"),
    [(2, "0,1", True), (0, "0", False), (2, "", False), (2, "-1", False)],
)
def test_a_gpu_counts_unless_it_is_hidden(
    monkeypatch: pytest.MonkeyPatch, count: int, visible: str, expected: bool
) -> None:
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: count)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert choice._may_have_gpu() == expected


def test_without_a_driver_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise pynvml.NVMLError_LibraryNotFound

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(pynvml, "nvmlInit", missing)
    assert not choice._may_have_gpu()


def test_what_is_asked_for_is_what_runs(openvino_folder: Path, fast: Manifest, on: Any) -> None:
    on("float32", "bfloat16")
    for name, precision in (
        ("keras", "float32"),
        ("openvino", "float32"),
        ("openvino", "bfloat16"),
    ):
        found = opened(openvino_folder, fast, engine=name, precision=precision)
        assert found[:2] == (name, precision)
        assert found[2].startswith("asked for; ")


@pytest.mark.parametrize(
    ("choices", "found"),
    [
        ({"engine": "keras", "precision": "bfloat16"}, "a device that has float32"),
        ({"engine": "openvino", "precision": "bfloat16"}, "a device that has float32"),
        ({"precision": "bfloat16"}, "a device that has float32"),
    ],
)
def test_a_precision_that_the_hardware_lacks_is_refused(
    openvino_folder: Path, fast: Manifest, choices: dict[str, str], found: str
) -> None:
    with pytest.raises(InputError, match=f"precision=bfloat16 .* found {found}"):
        open_engine(openvino_folder, fast, **choices)


def test_a_precision_that_did_not_pass_is_refused_with_its_figures(
    openvino_folder: Path, fast: Manifest, on: Any
) -> None:
    on("float32", "bfloat16", "float16")
    with pytest.raises(InputError, match=r"did not pass: .*agreement 0\.8, items 40"):
        open_engine(openvino_folder, fast, engine="openvino", precision="float16")
    never = gated(fast, float32=PASSED)
    with pytest.raises(InputError, match="never measured with openvino in bfloat16"):
        open_engine(openvino_folder, never, engine="openvino", precision="bfloat16")
    with pytest.raises(InputError, match="did not pass"):
        open_engine(openvino_folder, gated(fast, float32=FAILED), engine="openvino")


def test_files_whose_digest_nobody_wrote_are_not_used(
    openvino_folder: Path, fast: Manifest
) -> None:
    with pytest.raises(InputError, match="a version without OpenVINO's files"):
        open_engine(openvino_folder, replace(fast, files={}), engine="openvino")


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"engine": "onnx"}, "engine: auto, keras, openvino; found 'onnx'"),
        ({"precision": "int8"}, "precision: auto, float32, bfloat16, float16; found 'int8'"),
    ],
)
def test_unknown_names_are_refused(
    openvino_folder: Path, choices: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Classifier.load(openvino_folder, **choices)
    with pytest.raises(InputError, match=message):
        check_choice(**{"engine": "auto", "precision": "auto", **choices})


def test_a_classifier_says_why_and_answers_alike_by_both_engines(
    openvino_folder: Path, fast: Manifest, version_volumes: np.ndarray
) -> None:
    one, other = (Classifier.load(openvino_folder, engine=name) for name in ("keras", "openvino"))
    assert one.why == "asked for; float32 is the reference"
    volumes = version_volumes[:5]
    np.testing.assert_allclose(one.logits(volumes), other.logits(volumes), atol=1e-4)
