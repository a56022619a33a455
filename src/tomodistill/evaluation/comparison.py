"""Trained networks side by side: the paper's two tables and one row for each run.

Tables 1 and 2 are those of arXiv 1801.10597; its test time is given relative to the teacher's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tomodistill.evaluation.table import Cell, Column, Interval, Link, Table

_NORMAL_95 = 1.959964  # two-sided 95 % quantile of the normal distribution
CONTROL = "test/power_spectrum_accuracy"  # metric of a teacher's run
_MIXED = (
    " **These runs have different test items. Those of one set alone:** "
    """-P filter='tags.`data.sha256` LIKE "{data}%"'"""
)
_AS_TEACHER = {"accuracy_rate": 1.0, "compression_rate": 1.0, "speedup": 1.0}


@dataclass(frozen=True)
class Result:
    """One trained network, measured on the test part of one set."""

    network: str
    role: str  # "teacher" or "student"
    labels: str  # "soft" or "hard"
    metrics: Mapping[str, float]  # by the names they have in MLflow
    config: Mapping[str, str] = field(default_factory=dict)  # "student.temperature" -> "5.0"
    correct: Mapping[str, bool] = field(default_factory=dict)  # test item id -> decided right
    # Of its run, where it has one:
    name: str = ""
    url: str = ""
    run_id: str = ""
    experiment_id: str = ""
    version: str | None = None  # in the model registry

    def interval(self, metric: str, low: str, high: str) -> Interval:
        """A metric with its ends; the ratios of a teacher to itself are 1."""
        value = self.measured(metric)
        return Interval(value, self.metrics.get(low, value), self.metrics.get(high, value))

    def measured(self, metric: str) -> float:
        """A metric of this network. Raises KeyError where it was never measured."""
        given = _AS_TEACHER if self.role == "teacher" else {}
        return {**given, **self.metrics}[metric]

    @property
    def accuracy(self) -> Interval:
        """On the test part, with its 95 % interval."""
        return self.interval("test/accuracy", "test/accuracy_low", "test/accuracy_high")

    @property
    def accuracy_rate(self) -> Interval:
        """Student accuracy over teacher accuracy on the test part, with its 95 % interval."""
        ends = ("test/accuracy_rate_low", "test/accuracy_rate_high")
        return self.interval("accuracy_rate", *ends)

    @property
    def speedup(self) -> Interval:
        """Teacher time over this network's: median and quartiles of paired rounds."""
        return self.interval("speedup", "speed/speedup_lower", "speed/speedup_upper")


def summary(result: Result) -> str:
    """One line for a terminal or a page: what the network reached."""
    low, high = result.accuracy[1:]
    ratios = (
        f"accuracy_rate {result.measured('accuracy_rate'):.3f}, compression_rate "
        f"{result.measured('compression_rate'):.1f}, speedup {result.measured('speedup'):.2f}"
    )
    return (
        f"accuracy {result.accuracy.value:.3f} (95 % {low:.3f}-{high:.3f}, "
        f"{result.metrics['test/items']:.0f} test items), {ratios}"
    )


def paired_difference(better: Mapping[str, bool], than: Mapping[str, bool]) -> Interval:
    """Accuracy of one network minus another's on the same items, with its 95 % interval.

    Adjusted Wald interval of Bonett and Price (2012): narrower than what two separate intervals
    suggest, since both networks meet the same hard items. Raises ValueError for other items.
    """
    if not better or better.keys() != than.keys():
        raise ValueError("a paired difference needs the same items")
    items = len(better)
    won = sum(better[item] and not than[item] for item in better)
    lost = sum(than[item] and not better[item] for item in better)
    p_won, p_lost = (won + 1) / (items + 2), (lost + 1) / (items + 2)
    centre = p_won - p_lost
    half = _NORMAL_95 * ((p_won + p_lost - centre**2) / (items + 2)) ** 0.5
    return Interval((won - lost) / items, centre - half, centre + half)


def label_pairs(results: Sequence[Result]) -> list[tuple[Result, Result]]:
    """(hard, soft) results of each network that has both, once."""
    found = _by_network(results).values() if is_one_comparison(results) else ()
    return [(of["hard"], of["soft"]) for of in found if len(of) == 2]


def is_one_comparison(results: Sequence[Result]) -> bool:
    """One teacher, one set, no network twice on the same labels: what the tables can hold."""
    of_whom = [(of.network, of.labels) for of in results]
    one_teacher = [of.role for of in results].count("teacher") == 1
    one_set = len({of.config.get("data") for of in results}) == 1
    return one_teacher and one_set and len(set(of_whom)) == len(of_whom)


def notes(results: Sequence[Result]) -> str:
    """What the numbers of the tables are, and their control."""
    items = sorted({f"{of.metrics['test/items']:.0f}" for of in results})
    controls = sorted({f"{of.metrics[CONTROL]:.3f}" for of in results if CONTROL in of.metrics})
    sets = sorted({of.config["data"] for of in results})
    return (
        f"{' or '.join(items)} test items, 95 % intervals (Wilson; soft minus hard: paired on the "
        "same items); speedup: median and quartiles of paired rounds. Choose by val/accuracy. "
        f"Control, a linear classifier on power spectra: {' or '.join(controls)}."
        + (_MIXED.format(data=sets[0]) if len(sets) > 1 else "")
    )


def table_1(results: Sequence[Result]) -> Table:
    """Parameters, accuracy on hard and on soft labels, test time: one row for each network."""
    columns = (
        Column("model"),
        Column("parameters", ",.0f"),
        Column("accuracy, hard labels", ".3f"),
        Column("accuracy, soft labels", ".3f"),
        Column("soft minus hard", "+.3f"),
        Column("test time (teacher = 1)", ".2f"),
    )
    return Table(columns, [_row_1(of) for of in _by_network(results).values()])


def table_2(results: Sequence[Result]) -> Table:
    """Compression rate, accuracy rate and speedup of the teacher and of soft-label students."""
    columns = (
        Column("model"),
        Column("compression_rate", ".1f"),
        Column("accuracy_rate", ".3f"),
        Column("speedup", ".2f"),
    )
    shown = [of for of in results if of.role == "teacher" or of.labels == "soft"]
    return Table(
        columns,
        [
            [of.network, of.measured("compression_rate"), of.accuracy_rate, of.speedup]
            for of in shown
        ],
    )


def table_of_runs(results: Sequence[Result]) -> Table:
    """One row for each run, the best on the validation part first; settings that differ beside."""
    settings = _differing(results)
    columns = (
        *(Column(name) for name in ("run", "version", "network", "labels", *settings)),
        Column("val/accuracy", ".3f"),
        Column("test/accuracy", ".3f"),
        Column("test/items", ".0f"),
        Column("accuracy_rate", ".3f"),
        Column("compression_rate", ".1f"),
        Column("speedup", ".2f"),
        Column("parameters", ",.0f"),
    )
    ranked = sorted(results, key=lambda of: -of.metrics["val/accuracy"])
    return Table(columns, [_row_of_run(of, settings) for of in ranked])


def _row_of_run(of: Result, settings: Sequence[str]) -> list[Cell]:
    return [
        Link(of.name, of.url),
        of.version,
        of.network,
        of.labels,
        *(of.config.get(setting) for setting in settings),
        of.metrics["val/accuracy"],
        of.accuracy,
        of.metrics["test/items"],
        of.measured("accuracy_rate"),
        of.measured("compression_rate"),
        of.measured("speedup"),
        of.metrics["cost/parameters"],
    ]


def _differing(results: Sequence[Result]) -> list[str]:
    """Settings on which runs that have them do not agree; network and labels have own columns."""
    values: dict[str, set[str]] = {}
    for of in results:
        for setting, value in of.config.items():
            values.setdefault(setting, set()).add(value)
    shown_anyway = ("student.student", "student.labels", "teacher.teacher")
    return sorted(s for s, found in values.items() if len(found) > 1 and s not in shown_anyway)


def _by_network(results: Sequence[Result]) -> dict[str, dict[str, Result]]:
    """Network -> labels -> its result, in the order given."""
    found: dict[str, dict[str, Result]] = {}
    for of in results:
        found.setdefault(of.network, {})[of.labels] = of
    return found


def _row_1(of: Mapping[str, Result]) -> list[Cell]:
    hard, soft = of.get("hard"), of.get("soft")
    one = soft or hard
    assert one is not None  # a network is here because it has a result
    gain = paired_difference(soft.correct, hard.correct) if soft and hard else None
    return [
        one.network,
        one.metrics["cost/parameters"],
        hard.accuracy if hard else None,
        soft.accuracy if soft else None,
        gain,
        1 / one.measured("speedup"),
    ]
