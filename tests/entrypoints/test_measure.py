"""`measure_speed`: teacher and student by the same engine, from stored volumes to logits."""

from types import SimpleNamespace

import numpy as np
import pytest

from entrypoints import measure
from entrypoints.engines import Exported, Gated
from tests.versions import (
    FAILED,
    PASSED,
    random_volumes,
    write_openvino_version,
    write_random_version,
)
from tomodistill.evaluation.speed import Ratio
from tomodistill.inference.classifier import Classifier

DATA = SimpleNamespace(rows=lambda part: np.arange(3), volumes=lambda rows: random_volumes(3))


@pytest.fixture(scope="module")
def teachers(tmp_path_factory):
    """Versions: one that OpenVINO has, and one from before it."""
    root = tmp_path_factory.mktemp("teachers")
    return {
        "openvino": write_openvino_version(root / "openvino", seed=1, float32=PASSED),
        "keras": write_random_version(root / "keras", seed=1),
    }


@pytest.fixture(scope="module")
def student(teachers):
    """By Keras, as a training leaves it; its engines are those of any version."""
    return Classifier.load(teachers["keras"], engine="keras")


@pytest.fixture
def turns(monkeypatch):
    """Who was timed beside whom, as (engine, precision) of teacher and student, and the batch."""
    seen = []

    def paired_ratio(*, teacher, student, volumes):
        engines = [of.__self__.engine for of in (teacher, student)]
        seen.append((*((of.name, of.precision) for of in engines), volumes.shape))
        count = float(len(seen))
        return Ratio(count, count - 0.5, count + 0.5)

    monkeypatch.setattr(measure, "paired_ratio", paired_ratio)
    return seen


def engine(precision):
    return SimpleNamespace(name="openvino", precision=precision)


def speed(student, teacher, **figures):
    gated = tuple(Gated(engine(precision), reached) for precision, reached in figures.items())
    upstream = SimpleNamespace(data=DATA, teacher=SimpleNamespace(folder=teacher))
    return measure.measure_speed(SimpleNamespace(classifier=student), Exported(gated, ()), upstream)


def test_openvino_runs_both_where_both_passed_in_it(student, teachers, turns):
    metrics = speed(student, teachers["openvino"], float32=PASSED, bfloat16=PASSED)
    exact, reduced = ("openvino", "float32"), ("openvino", "bfloat16")
    stack, one = (16, 27, 27, 27), (1, 27, 27, 27)
    assert turns == [(exact, exact, stack), (exact, exact, one), (exact, reduced, stack)]
    assert metrics == {
        "speedup": 1.0,
        "speed/speedup_lower": 0.5,
        "speed/speedup_upper": 1.5,
        "latency_ratio": 2.0,
        "speed/bfloat16": 3.0,
    }


@pytest.mark.parametrize(
    ("teacher", "figures"),
    [
        ("keras", {"float32": PASSED, "bfloat16": PASSED}),
        ("openvino", {"float32": FAILED, "bfloat16": PASSED}),
        ("openvino", {}),
    ],
)
def test_keras_runs_both_where_one_lacks_openvino(student, teachers, turns, teacher, figures):
    metrics = speed(student, teachers[teacher], **figures)
    keras = ("keras", "float32")
    assert [turn[:2] for turn in turns] == [(keras, keras)] * 2
    assert "speed/bfloat16" not in metrics


def test_a_precision_that_did_not_pass_is_not_timed(student, teachers, turns):
    metrics = speed(student, teachers["openvino"], float32=PASSED, bfloat16=FAILED)
    assert len(turns) == 2
    assert "speed/bfloat16" not in metrics
