from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from tomodistill.evaluation.comparison import (
    CONTROL,
    Result,
    is_one_comparison,
    label_pairs,
    notes,
    paired_difference,
    summary,
    table_1,
    table_2,
    table_of_runs,
)


def result(network, labels, accuracy, *, parameters, speedup=None, role="student", **config):
    metrics = {
        "test/accuracy": accuracy,
        "test/accuracy_low": accuracy - 0.05,
        "test/accuracy_high": accuracy + 0.04,
        "test/items": 100.0,
        "val/accuracy": accuracy + 0.01,
        "cost/parameters": float(parameters),
    }
    if speedup:
        metrics |= {"accuracy_rate": accuracy / 0.9, "compression_rate": 1000 / parameters}
        metrics |= {"test/accuracy_rate_low": 0.7, "test/accuracy_rate_high": 0.95}
        ends = {"speed/speedup_lower": speedup - 0.5, "speed/speedup_upper": speedup + 0.25}
        metrics |= {"speedup": speedup, **ends}
    else:
        metrics[CONTROL] = 0.6
    right = {f"item{i}": i < round(100 * accuracy) for i in range(100)}
    config = {"data": "abc", "student.temperature": "5.0", **config}
    name = f"{network} {labels}"
    return Result(network, role, labels, metrics, name=name, config=config, correct=right)


TEACHER = result("big", "hard", 0.9, parameters=1000, role="teacher")
HARD = result("s3", "hard", 0.7, parameters=10, speedup=4.0)
SOFT = result("s3", "soft", 0.8, parameters=10, speedup=4.0)
RESULTS = [TEACHER, HARD, SOFT]
ELSEWHERE = replace(SOFT, config={"data": "xyz"}, correct={"another item": True})


def test_table_1_is_the_papers_with_our_numbers():
    teacher, student = table_1(RESULTS).rows
    assert teacher == ["big", 1000, TEACHER.accuracy, None, None, 1.0]
    assert student[:4] == ["s3", 10, HARD.accuracy, SOFT.accuracy]
    assert SOFT.accuracy == pytest.approx((0.8, 0.75, 0.84))
    assert student[4].value == pytest.approx(0.1)
    assert student[5] == 0.25  # a speedup of 4


def test_table_2_has_the_three_ratios_of_soft_label_students():
    teacher, student = table_2(RESULTS).rows
    assert teacher == ["big", 1.0, (1, 1, 1), (1, 1, 1)]
    assert student == ["s3", 100.0, (0.8 / 0.9, 0.7, 0.95), (4.0, 3.5, 4.25)]


def test_the_table_of_runs_ranks_by_validation_and_shows_what_differs():
    warm = replace(SOFT, config={**SOFT.config, "student.temperature": "9.0"})
    table = table_of_runs([HARD, warm, TEACHER])
    names = [column.name for column in table.columns]
    assert names[:5] == ["run", "version", "network", "labels", "student.temperature"]
    assert [row[0].text for row in table.rows] == ["big hard", "s3 soft", "s3 hard"]
    assert [row[4] for row in table.rows] == ["5.0", "9.0", "5.0"]
    assert "student.temperature" not in [c.name for c in table_of_runs(RESULTS).columns]


def test_a_run_with_an_address_is_a_link():
    row = table_of_runs([replace(SOFT, url="http://ui/run", version="4")]).rows[0]
    assert row[:2] == [("s3 soft", "http://ui/run"), "4"]


def test_the_papers_tables_hold_one_run_of_each():
    assert is_one_comparison(RESULTS)
    assert not is_one_comparison([*RESULTS, SOFT])
    assert not is_one_comparison([HARD, SOFT])
    assert not is_one_comparison([TEACHER, HARD, ELSEWHERE])
    assert label_pairs(RESULTS) == [(HARD, SOFT)]
    assert label_pairs([*RESULTS, SOFT]) == []


def test_notes_warn_of_different_test_items():
    assert "different test items" not in notes(RESULTS)
    assert "power spectra: 0.600" in notes(RESULTS)
    other = replace(SOFT, config={"data": "xyz"})
    assert """-P filter='tags.`data.sha256` LIKE "abc%"'""" in notes([*RESULTS, other])


def test_summary_says_accuracy_with_its_interval_and_the_ratios():
    assert summary(SOFT) == (
        "accuracy 0.800 (95 % 0.750-0.840, 100 test items), accuracy_rate 0.889, "
        "compression_rate 100.0, speedup 4.00"
    )


def decided(right, wrong, items=200):
    """Two networks that differ on `right` + `wrong` items."""
    better = {str(i): i < items - wrong for i in range(items)}
    than = {str(i): i >= right for i in range(items)}
    return better, than


def test_paired_difference_against_its_formula():
    difference = paired_difference(*decided(right=10, wrong=1, items=50))
    p, q, z = 11 / 52, 2 / 52, norm.ppf(0.975)
    half = z * np.sqrt((p + q - (p - q) ** 2) / 52)
    assert difference.value == pytest.approx(9 / 50)
    assert difference[1:] == pytest.approx((p - q - half, p - q + half))


def test_paired_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(400):
        draw = rng.random(150)
        better = {str(i): u < 0.82 for i, u in enumerate(draw)}
        than = {str(i): (u < 0.70) or (u > 0.97) for i, u in enumerate(draw)}
        _, low, high = paired_difference(better, than)
        covered += low <= 0.82 - 0.73 <= high
    assert 0.92 <= covered / 400 <= 0.985


@pytest.mark.parametrize("than", [{}, {"other": True}])
def test_other_items_are_no_pair(than):
    with pytest.raises(ValueError, match="same items"):
        paired_difference({"item": True} if than else {}, than)
