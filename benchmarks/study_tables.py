"""Tables of a study of several seeds, each with items, a teacher and trainings of its own.

Intervals are over the items of all seeds, which tells how well these networks are measured; what
another training would give, the spread over seeds tells: of a difference the mean over seeds has
its own interval (Student's t), wide where there are three.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import t
from study import Result, Study

from tomodistill.evaluation.accuracy import accuracy_rate_interval
from tomodistill.evaluation.calibration import share
from tomodistill.evaluation.comparison import Result as Compared
from tomodistill.evaluation.comparison import paired_difference
from tomodistill.evaluation.speed import BATCH, Network, paired_ratio
from tomodistill.evaluation.table import Cell, Column, Interval, Table
from tomodistill.inference.keras_engine import KerasEngine
from tomodistill.networks.build import build

CONTROLS = {"soft": "hard", "best": "best recipe, hard"}


def accuracy_of(results: Sequence[Result], part: str = "test") -> Interval:
    """Pooled over seeds, whose items differ, with its 95 % interval (Wilson)."""
    return share(np.array([right for of in results for right in of.correct(part).values()]))


def gain(better: Sequence[Result], than: Sequence[Result], part: str = "test") -> Interval:
    """Paired difference of accuracy, pooled over seeds, with its 95 % interval."""
    first, second = (
        {item: right for of in results for item, right in of.correct(part).items()}
        for results in (better, than)
    )
    return paired_difference(first, second)


def gain_over_seeds(
    better: Sequence[Result], than: Sequence[Result], part: str = "test"
) -> Interval | None:
    """Mean over seeds of the difference, with Student's 95 % interval; None of one seed."""
    gains = [gain([a], [b], part).value for a, b in zip(better, than, strict=True)]
    if len(gains) < 2:
        return None
    mean = float(np.mean(gains))
    half = float(t.ppf(0.975, len(gains) - 1) * np.std(gains, ddof=1) / len(gains) ** 0.5)
    return Interval(mean, mean - half, mean + half)


def accuracy_rate(students: Sequence[Result], teachers: Sequence[Result]) -> Interval:
    """Student over teacher, pooled over seeds, with its 95 % interval."""
    student, teacher = (
        np.array([right for of in results for right in of.correct("test").values()])
        for results in (students, teachers)
    )
    return accuracy_rate_interval(student=student, teacher=teacher)


def by_seed(results: Sequence[Result], part: str = "test") -> str:
    """Accuracy of each."""
    return ", ".join(f"{np.mean(list(of.correct(part).values())):.3f}" for of in results)


def table_1(teachers: Sequence[Result], of: dict[str, dict[str, list[Result]]]) -> Table:
    """Accuracy of teacher and students on each kind of label."""
    names = list(next(iter(of.values())))
    pairs = [(name, than) for name, than in CONTROLS.items() if name in names]
    columns = (
        Column("model"),
        Column("parameters", ",.0f"),
        *(Column(name, ".3f") for name in names),
        *(Column(f"{name} minus {than}", "+.3f") for name, than in pairs),
        *(Column(f"{name} minus {than}, over seeds", "+.3f") for name, than in pairs),
        Column(f"by seed: {'; '.join(names)}"),
    )
    nothing = [None] * (len(names) - 1 + 2 * len(pairs))
    teacher = teachers[0].network, teachers[0].parameters, accuracy_of(teachers)
    rows: list[list[Cell]] = [[*teacher, *nothing, by_seed(teachers)]]
    for network, results in of.items():
        gains = [
            of_two(results[name], results[than])
            for of_two in (gain, gain_over_seeds)
            for name, than in pairs
        ]
        reached = [accuracy_of(results[name]) for name in names]
        each = "; ".join(by_seed(results[name]) for name in names)
        rows.append([network, results["hard"][0].parameters, *reached, *gains, each])
    return Table(columns, rows)


def table_2(
    teachers: Sequence[Result],
    of: dict[str, dict[str, list[Result]]],
    speedups: Mapping[str, Interval],
) -> Table:
    """Compression rate, accuracy rates and speedup, all of them ratios to the teacher."""
    names = list(next(iter(of.values())))
    columns = (
        Column("model"),
        Column("compression_rate", ".1f"),
        *(Column(f"accuracy_rate, {name}", ".3f") for name in names),
        Column(f"speedup (batch {BATCH})", ".2f"),
    )
    rows = [
        [
            network,
            teachers[0].parameters / results["hard"][0].parameters,
            *(accuracy_rate(results[name], teachers) for name in names),
            speedups[network],
        ]
        for network, results in of.items()
    ]
    return Table(columns, rows)


def as_compared(
    teachers: Sequence[Result],
    of: dict[str, dict[str, list[Result]]],
    speedups: Mapping[str, Interval],
) -> list[Compared]:
    """Teacher and students on hard and on soft labels, as `main` and `compare` draw them."""
    compared = [_as_compared(teachers, "teacher", Interval(1.0, 1.0, 1.0))]
    return compared + [
        _as_compared(results[labels], labels, speedups[network])
        for network, results in of.items()
        for labels in ("hard", "soft")
    ]


def _as_compared(results: Sequence[Result], labels: str, ratio: Interval) -> Compared:
    accuracy = accuracy_of(results)
    metrics = {
        "cost/parameters": float(results[0].parameters),
        "test/accuracy": accuracy.value,
        "test/accuracy_low": accuracy.low,
        "test/accuracy_high": accuracy.high,
        "speedup": ratio.value,
        "speed/speedup_lower": ratio.low,
        "speed/speedup_upper": ratio.high,
    }
    role = "teacher" if labels == "teacher" else "student"
    return Compared(results[0].network, role, labels, metrics, {"data": "study"})


def speedup(network: str, study: Study) -> Interval:
    """Median and quartiles of paired rounds in this process; weights do not matter."""
    teacher, student = (_untrained(name, study) for name in (study.scale.teacher.teacher, network))
    volumes = study.data.volumes(study.data.rows("val")[:BATCH])
    return Interval(*vars(paired_ratio(teacher=teacher, student=student, volumes=volumes)).values())


def _untrained(network: str, study: Study) -> Network:
    """From stored volumes to logits."""
    box = study.scale.preprocessing.edge(study.data.header.box)
    engine = KerasEngine(build(network, box=box, classes=study.classes))
    return lambda volumes: engine.logits(study.prepared(volumes, network))


def ablation_table(found: dict[str, list[Result]]) -> Table:
    """Validation accuracy of every variant, and its paired difference from the first."""
    columns = (
        Column("student"),
        Column("validation accuracy", ".3f"),
        Column("minus the first (paired)", "+.3f"),
        Column("by seed"),
        Column("seconds", ".0f"),
    )
    first, rows = next(iter(found.values())), []
    for name, results in found.items():
        of = float(np.mean([result.seconds for result in results]))
        difference = None if results is first else gain(results, first, "val")
        rows.append([name, accuracy_of(results, "val"), difference, by_seed(results, "val"), of])
    return Table(columns, rows)
