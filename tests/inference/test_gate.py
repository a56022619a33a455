import numpy as np
import pytest

from tomodistill.inference.gate import Gate, judge, largest_difference

LABELS = np.arange(200) % 4
REFERENCE = (10 * np.eye(4)[LABELS]).astype(np.float32)  # right everywhere


def with_errors(count: int) -> np.ndarray:
    """The reference's logits, but for so many items with another class on top."""
    logits = REFERENCE.copy()
    logits[:count] = np.roll(logits[:count], 1, axis=1)
    return logits


def test_the_same_logits_pass() -> None:
    found = judge(reference_logits=REFERENCE, logits=REFERENCE, labels=LABELS, gate=Gate())
    assert (found.agreement, found.accuracy, found.reference_accuracy) == (1, 1, 1)
    assert (found.largest_difference, found.items, found.passed) == (0, 200, True)


@pytest.mark.parametrize(("errors", "passed"), [(1, True), (2, False), (20, False)])
def test_more_than_half_a_percent_of_accuracy_is_too_much(errors: int, passed: bool) -> None:
    logits = with_errors(errors)
    found = judge(reference_logits=REFERENCE, logits=logits, labels=LABELS, gate=Gate())
    assert found.accuracy == found.agreement == 1 - errors / 200
    assert (found.largest_difference, found.passed) == (10, passed)


@pytest.mark.parametrize(("errors", "passed"), [(2, True), (3, False)])
def test_other_decisions_count_where_both_are_wrong(errors: int, passed: bool) -> None:
    labels = (LABELS + 2) % 4  # which neither decides
    found = judge(
        reference_logits=REFERENCE, logits=with_errors(errors), labels=labels, gate=Gate()
    )
    assert (found.accuracy, found.reference_accuracy) == (0, 0)
    assert (found.agreement, found.passed) == (1 - errors / 200, passed)


def test_a_better_engine_passes_if_it_agrees() -> None:
    found = judge(reference_logits=with_errors(2), logits=REFERENCE, labels=LABELS, gate=Gate())
    assert (found.accuracy, found.reference_accuracy, found.passed) == (1, 0.99, True)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_not_finite_never_pass(value: float) -> None:
    logits = REFERENCE.copy()
    logits[0, 0] = value  # which is the right class: every decision is as before
    found = judge(reference_logits=REFERENCE, logits=logits, labels=LABELS, gate=Gate())
    assert (found.agreement, found.passed) == (1, False)


def test_the_largest_difference_has_no_sign() -> None:
    assert largest_difference(np.float32([[1, 2]]), np.float32([[1.5, -1]])) == 3
