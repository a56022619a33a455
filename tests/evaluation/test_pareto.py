from dataclasses import replace

import pytest

from tomodistill.evaluation.comparison import Result
from tomodistill.evaluation.pareto import (
    Point,
    choose,
    front,
    point_of,
    table_of_points,
    verdict,
)
from tomodistill.evaluation.table import Interval


def point(network, speedup, accuracy):
    """Its teacher has an accuracy of 0.9."""
    return Point(
        network=network,
        parameters=1000,
        gflop=0.2,
        accuracy=Interval(accuracy, accuracy - 0.04, accuracy + 0.03),
        items=200,
        accuracy_rate=accuracy / 0.9,
        speedup=Interval(speedup, speedup - 0.5, speedup + 0.5),
        url=f"http://ui/{network}",
    )


TEACHER = point("big", 1.0, 0.90)
POINTS = [
    point("slow", 6.0, 0.89),
    point("quick", 40.0, 0.88),
    point("quick_and_worse", 40.0, 0.80),
    point("dominated", 5.0, 0.85),
    point("quickest", 90.0, 0.70),
]


def names(points):
    return [of.network for of in points]


def test_the_front_is_what_no_other_beats_the_slowest_first():
    assert names(front([*POINTS, TEACHER])) == ["big", "slow", "quick", "quickest"]
    assert names(front(POINTS[3:4])) == ["dominated"]


def test_equal_points_share_the_front_and_a_draw_in_one_decides_by_the_other():
    twin = replace(POINTS[1], network="twin")
    assert names(front([*POINTS, twin])) == ["slow", "quick", "twin", "quickest"]
    as_accurate = replace(POINTS[1], network="as_accurate", speedup=Interval(39.0, 38.0, 40.0))
    assert "as_accurate" not in names(front([*POINTS, as_accurate]))


def test_the_fastest_that_is_accurate_enough_is_chosen():
    assert choose(POINTS, min_accuracy_rate=0.97).network == "quick"
    assert choose(POINTS, min_accuracy_rate=0.98).network == "slow"
    assert choose(POINTS, min_accuracy_rate=0.5).network == "quickest"
    assert choose(POINTS[1:4], min_accuracy_rate=0.5).network == "quick"  # of two as fast


def test_a_rate_that_is_just_reached_is_reached():
    rate = POINTS[0].accuracy_rate
    assert choose(POINTS, min_accuracy_rate=rate).network == "slow"


def test_where_none_is_accurate_enough_the_most_accurate_is_chosen_and_said_so():
    assert choose(POINTS, min_accuracy_rate=1.0).network == "slow"
    said = verdict(POINTS, min_accuracy_rate=1.0)
    assert said.startswith("Chosen: slow: none of 5 reaches an accuracy_rate of 1 on the validat")
    assert "this one is the most accurate. Accuracy 0.890" in said


def test_the_verdict_says_why_with_intervals():
    said = verdict(POINTS, min_accuracy_rate=0.88)
    assert said.startswith("Chosen: quick: the fastest of 4 that reach an accuracy_rate of 0.88 on")
    assert (
        "of 5 tried. Accuracy 0.880 (95 % 0.840 to 0.910, 200 items), accuracy_rate 0.978" in said
    )
    assert "speedup 40.0 (39.5 to 40.5)" in said


def test_the_table_has_the_fastest_first_and_marks_the_front():
    table = table_of_points([TEACHER, *POINTS])
    columns = [column.name for column in table.columns]
    rows = [dict(zip(columns, row, strict=True)) for row in table.rows]
    assert [row["network"].text for row in rows] == [
        *("quickest", "quick", "quick_and_worse", "slow", "dominated", "big")
    ]
    assert [row["front"] for row in rows] == ["yes", "yes", None, "yes", None, "yes"]
    assert rows[1]["network"].url == "http://ui/quick"
    assert rows[1]["val/accuracy"] == POINTS[1].accuracy
    assert (rows[1]["parameters"], rows[1]["gflop"], rows[1]["val/items"]) == (1000, 0.2, 200)
    assert (rows[1]["val/accuracy_rate"], rows[1]["speedup"]) == (
        pytest.approx(0.88 / 0.9),
        (40.0, 39.5, 40.5),
    )


METRICS = {
    "cost/parameters": 2000.0,
    "cost/gflop": 0.15,
    "val/accuracy": 0.8,
    "val/accuracy_low": 0.7,
    "val/accuracy_high": 0.85,
    "val/items": 90.0,
}


def test_a_training_becomes_a_point_by_its_validation_part():
    beside = {"val/accuracy_rate": 0.95, "speedup": 41.0, "speed/speedup_lower": 40.0}
    beside |= {"speed/speedup_upper": 43.0, "test/accuracy": 0.1, "accuracy_rate": 0.2}
    found = point_of(Result("f1", "student", "soft", METRICS | beside, url="http://ui"))
    assert found == Point(
        network="f1",
        parameters=2000,
        gflop=0.15,
        accuracy=Interval(0.8, 0.7, 0.85),
        items=90,
        accuracy_rate=0.95,
        speedup=Interval(41.0, 40.0, 43.0),
        url="http://ui",
    )


def test_the_teacher_is_a_point_at_a_speedup_of_one():
    found = point_of(Result("dsrf3d_v2", "teacher", "hard", METRICS))
    assert (found.speedup, found.accuracy_rate) == ((1.0, 1.0, 1.0), 1.0)
    assert found.accuracy.value == 0.8
