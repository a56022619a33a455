"""Networks by speed and accuracy on the validation part: the Pareto front, and which to choose."""

from collections.abc import Sequence
from dataclasses import dataclass

from tomodistill.evaluation.comparison import Result
from tomodistill.evaluation.table import Cell, Column, Interval, Link, Table


@dataclass(frozen=True)
class Point:
    """One trained network, measured on the validation part beside its teacher."""

    network: str
    parameters: int
    gflop: float
    accuracy: Interval  # 95 %, over the items
    items: int
    accuracy_rate: float
    speedup: Interval  # median and quartiles of paired rounds
    url: str = ""  # of its run

    def beats(self, other: "Point") -> bool:
        """Whether it is at least as fast and as accurate, and better in one of them."""
        mine, others = ((of.speedup.value, of.accuracy.value) for of in (self, other))
        return mine != others and all(a >= b for a, b in zip(mine, others, strict=True))


def point_of(result: Result) -> Point:
    """What a training measured, as a point; the teacher is at a speedup of 1."""
    measured = result.metrics
    return Point(
        network=result.network,
        parameters=int(measured["cost/parameters"]),
        gflop=measured["cost/gflop"],
        accuracy=result.interval("val/accuracy", "val/accuracy_low", "val/accuracy_high"),
        items=int(measured["val/items"]),
        accuracy_rate=1.0 if result.role == "teacher" else measured["val/accuracy_rate"],
        speedup=result.speedup,
        url=result.url,
    )


def front(points: Sequence[Point]) -> list[Point]:
    """Those that no other beats, the slowest first; equal ones stay side by side."""
    kept = [point for point in points if not any(other.beats(point) for other in points)]
    return sorted(kept, key=lambda point: point.speedup.value)


def choose(points: Sequence[Point], *, min_accuracy_rate: float) -> Point:
    """The fastest that reaches `min_accuracy_rate`; the most accurate where none does.

    Of equally fast ones the more accurate, of equally accurate ones the faster.
    """
    reached = _reached(points, min_accuracy_rate)
    if reached:
        return max(reached, key=lambda of: (of.speedup.value, of.accuracy.value))
    return max(points, key=lambda of: (of.accuracy.value, of.speedup.value))


def verdict(points: Sequence[Point], *, min_accuracy_rate: float) -> str:
    """Which network is chosen, why, and how far that can be trusted."""
    chosen = choose(points, min_accuracy_rate=min_accuracy_rate)
    reached = len(_reached(points, min_accuracy_rate))
    asked = f"an accuracy_rate of {min_accuracy_rate:g} on the validation part"
    if reached:
        why = f"the fastest of {reached} that reach {asked}, of {len(points)} tried"
    else:
        why = f"none of {len(points)} reaches {asked}; this one is the most accurate"
    value, low, high = chosen.accuracy
    return (
        f"Chosen: {chosen.network}: {why}. Accuracy {value:.3f} (95 % {low:.3f} to {high:.3f}, "
        f"{chosen.items} items), accuracy_rate {chosen.accuracy_rate:.3f}, speedup "
        f"{chosen.speedup.value:.1f} ({chosen.speedup.low:.1f} to {chosen.speedup.high:.1f}). "
        "The best of many looks better than it is."
    )


def table_of_points(points: Sequence[Point]) -> Table:
    """One row for each network, the fastest first; which of them are the front."""
    columns = (
        Column("network"),
        Column("parameters", ",.0f"),
        Column("gflop", ".3f"),
        Column("val/accuracy", ".3f"),
        Column("val/items", ".0f"),
        Column("val/accuracy_rate", ".3f"),
        Column("speedup", ".2f"),
        Column("front"),
    )
    best = front(points)
    ranked = sorted(points, key=lambda of: (-of.speedup.value, -of.accuracy.value))
    return Table(columns, [_row(of, "yes" if of in best else None) for of in ranked])


def _reached(points: Sequence[Point], min_accuracy_rate: float) -> list[Point]:
    return [point for point in points if point.accuracy_rate >= min_accuracy_rate]


def _row(of: Point, in_front: str | None) -> list[Cell]:
    link = Link(of.network, of.url)
    measured = (of.accuracy, of.items, of.accuracy_rate, of.speedup)
    return [link, of.parameters, of.gflop, *measured, in_front]
