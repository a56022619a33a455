import numpy as np
import pytest

from tomodistill.evaluation.accuracy import accuracy_rate_interval, agreement, evaluate

NAMES = ("ribosome", "proteasome", "chaperonin")


def deciding(decisions: list[int]) -> np.ndarray:
    """(n, 3) logits that decide so, with values that are no probabilities."""
    return (5 * np.eye(3)[decisions] - 7).astype(np.float32)


# Newcombe 1998, Statistics in Medicine 17:857, Table I, score method without continuity correction
@pytest.mark.parametrize(
    ("correct", "items", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_against_published_numbers(
    correct: int, items: int, low: float, high: float
) -> None:
    logits = deciding([1] * correct + [2] * (items - correct))
    result = evaluate(logits, np.ones(items, int), NAMES)
    assert result.items == items
    assert result.accuracy == correct / items
    assert (result.accuracy_low, result.accuracy_high) == pytest.approx((low, high), abs=5e-5)


def test_rows_of_the_confusion_matrix_are_true_labels() -> None:
    result = evaluate(deciding([1, 1, 0, 2]), np.array([0, 0, 0, 2]), NAMES)
    np.testing.assert_array_equal(result.confusion, [[1, 2, 0], [0, 0, 0], [0, 0, 1]])


def test_report_per_class() -> None:
    report = evaluate(deciding([1, 1, 0, 2]), np.array([0, 1, 0, 2]), NAMES).report
    assert report["ribosome"]["recall"] == 0.5
    assert report["ribosome"]["precision"] == 1
    assert report["proteasome"]["precision"] == 0.5
    assert report["chaperonin"]["support"] == 1


def test_names_of_the_metrics() -> None:
    metrics = evaluate(deciding([0, 1]), np.array([0, 0]), NAMES).metrics("test")
    names = {"items", "accuracy", "accuracy_low", "accuracy_high"}
    assert set(metrics) == {f"test/{name}" for name in names}
    assert metrics["test/accuracy"] == 0.5
    assert metrics["test/items"] == 2


def test_agreement_is_the_share_of_equal_decisions() -> None:
    assert agreement(deciding([0, 1, 2, 2]), 3 * deciding([0, 1, 2, 1])) == 0.75


def test_the_interval_of_the_accuracy_rate_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    covered = []
    for _ in range(200):
        hard = rng.random(300)  # of each item: both networks fail on the same ones
        student, teacher = hard < 0.80, (hard < 0.76) | (hard > 0.88)
        value, low, high = accuracy_rate_interval(student=student, teacher=teacher)
        assert value == pytest.approx(student.mean() / teacher.mean())
        covered.append(low <= 0.80 / 0.88 <= high)
    assert 0.91 <= np.mean(covered) <= 0.985


def test_the_interval_of_the_accuracy_rate_knows_pairs_and_order() -> None:
    right = np.arange(200) < 150
    assert accuracy_rate_interval(student=right, teacher=right) == (1, 1, 1)
    _, low, high = accuracy_rate_interval(student=right, teacher=right[::-1])
    assert low < 0.95 < 1.05 < high
    half = accuracy_rate_interval(student=np.arange(200) < 75, teacher=right)
    assert half.value == 0.5
    assert half.high < 0.6
    assert accuracy_rate_interval(student=right, teacher=~(right | True)) == (0, 0, 0)
