import pytest

from tomodistill.evaluation.cost import Cost, accuracy_rate, compression_rate, speedup

# arXiv 1801.10597, Table 1: parameters, accuracy (students: on soft labels), test time in s ...
TEACHER = (18_316_599, 0.9589, 15.91)
STUDENTS = {
    "s1": (1_014_071, 0.9382, 9.41),
    "s2": (506_039, 0.9117, 8.95),
    "s3": (161_639, 0.8983, 5.58),
}
# ... and Table 2: compression rate, accuracy rate, speedup
RATIOS = {"s1": (18.1, 0.978, 1.69), "s2": (36.2, 0.951, 1.78), "s3": (113.3, 0.937, 2.85)}


@pytest.mark.parametrize("name", STUDENTS)
def test_the_papers_second_table_follows_from_its_first(name: str) -> None:
    parameters, accuracy, time = STUDENTS[name]
    rate = compression_rate(teacher_parameters=TEACHER[0], student_parameters=parameters)
    kept = accuracy_rate(teacher_accuracy=TEACHER[1], student_accuracy=accuracy)
    faster = speedup(teacher_time=TEACHER[2], student_time=time)
    assert rate == pytest.approx(RATIOS[name][0], abs=0.05)
    assert kept == pytest.approx(RATIOS[name][1], abs=5e-4)
    assert faster == pytest.approx(RATIOS[name][2], abs=5e-3)


def test_a_teacher_that_is_never_right_keeps_nobody_from_failing() -> None:
    assert accuracy_rate(teacher_accuracy=0.0, student_accuracy=0.5) == 0


def test_names_of_the_metrics() -> None:
    metrics = Cost(parameters=161_639, bytes=700_000, gflop=1.13).metrics()
    assert metrics == {"cost/parameters": 161_639.0, "cost/bytes": 700_000.0, "cost/gflop": 1.13}
