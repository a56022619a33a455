from dataclasses import replace

import numpy as np
import pytest

from tests.versions import MANIFEST
from tomodistill.evaluation.robustness import (
    Condition,
    confidence,
    robustness_figure,
    robustness_table,
    trained_on,
)
from tomodistill.evaluation.table import Interval, Link
from tomodistill.inference.confidence import Calibration, Unknown
from tomodistill.simulation.config import Range


def condition(snr, tilts, student, teacher, *, trained_on=False):
    student, teacher = (Interval(value, value - 0.1, value + 0.1) for value in (student, teacher))
    rate = Interval(student.value / teacher.value, 0.7, 0.95)
    return Condition(Link("abc", "http://ui"), snr, tilts, trained_on, 120, student, teacher, rate)


CONDITIONS = [
    condition("0.1", "±60°", 0.8, 0.9, trained_on=True),
    condition("0.1", "±40°", 0.6, 0.7),
    condition("0.05", "±60°", 0.5, 0.6),
    condition("0.05", "±40°", 0.3, 0.4),
]


def test_the_table_has_student_teacher_and_their_rate():
    table = robustness_table(CONDITIONS)
    assert [column.name for column in table.columns][-1] == "accuracy_rate"  # no confidence
    first, second, *_ = table.rows
    assert first[1:5] == ["0.1", "±60°", "yes", 120]
    assert first[5:] == [CONDITIONS[0].student, CONDITIONS[0].teacher, (0.8 / 0.9, 0.7, 0.95)]
    assert second[3] == "no"
    assert (
        "| [abc](http://ui) | 0.1 | ±40° | no | 120 | 0.600 (0.500 to 0.700) |" in table.markdown()
    )


def test_confidence_stands_in_the_table_where_the_student_has_any():
    confident = replace(CONDITIONS[0], unknown=Interval(0.2, 0.1, 0.3), ece=0.04)
    table = robustness_table([confident, *CONDITIONS[1:]])
    assert [column.name for column in table.columns][-2:] == ["called unknown", "ECE"]
    assert table.rows[0][-2:] == [(0.2, 0.1, 0.3), 0.04]
    assert table.rows[1][-2:] == [None, None]


def test_the_map_has_every_number_where_it_belongs_and_frames_what_was_trained_on():
    figure = robustness_figure(CONDITIONS[::-1], title="s3")
    student, teacher = figure.axes
    assert [label.get_text() for label in student.get_yticklabels()] == ["0.05", "0.1"]
    assert [label.get_text() for label in student.get_xticklabels()] == ["±40°", "±60°"]
    np.testing.assert_allclose(student.images[0].get_array(), [[0.3, 0.5], [0.6, 0.8]])
    np.testing.assert_allclose(teacher.images[0].get_array(), [[0.4, 0.6], [0.7, 0.9]])
    shown = {text.get_position(): text.get_text() for text in teacher.texts}
    assert shown == {(0, 0): "0.400", (1, 0): "0.600", (0, 1): "0.700", (1, 1): "0.900"}
    for axes in figure.axes:
        (frame,) = axes.patches
        assert frame.get_bbox().contains(1, 1)  # 0.1 and ±60°
        assert not frame.get_bbox().contains(0, 1)


@pytest.mark.parametrize(
    ("snr", "tilt_range", "found"),
    [
        (Range(0.2, 0.2), (-60.0, 60.0), True),
        (Range(0.1, 0.5), (-60.0, 60.0), True),
        (Range(0.098, 0.51), (-60.0, 60.0), True),  # items drawn from it reach not quite its ends
        (Range(0.2, 0.6), (-60.0, 60.0), False),
        (Range(0.05, 0.05), (-60.0, 60.0), False),
        (Range(0.2, 0.2), (-50.0, 50.0), False),
        (Range(0.2, 0.2), (-60.0, 70.0), False),
    ],
)
def test_what_was_trained_on_is_an_snr_within_and_the_very_tilts(snr, tilt_range, found):
    assert trained_on(MANIFEST, snr=snr, tilt_range=tilt_range) is found


def test_a_version_without_confidence_has_none():
    assert confidence(np.zeros((4, 3), np.float32), np.zeros(4, int), MANIFEST) == (None, None)


def test_confidence_is_that_of_the_calibrated_version():
    """Both items decided for class 0 with probability 3/4 at temperature 2; both are wrong."""
    logits = np.array([[2 * np.log(6), 0, 0], [2 * np.log(6), 0, 0]], np.float32)
    priors = dict.fromkeys(MANIFEST.class_names, 1 / 3)
    unknown = Unknown("max_probability", 0.8, 0.05, 10, ("a",), ("b",), {}, {})
    manifest = replace(MANIFEST, calibration=Calibration(2.0, 10, priors, {}), unknown=unknown)
    rejected, error = confidence(logits, np.array([1, 2]), manifest)
    assert (rejected.value, error) == (1.0, pytest.approx(0.75))
    sharper = replace(manifest, calibration=Calibration(1.0, 10, priors, {}))
    assert confidence(logits, np.array([1, 2]), sharper)[0].value == 0.0  # 36 / 38
    assert confidence(logits, np.array([1, 2]), replace(manifest, unknown=None))[0] is None
