"""Trials of a sweep: one student under many settings and seeds, on the validation part alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from tomodistill.evaluation.table import Cell, Column, Interval, Link, Table

CONTROL = "hard labels"  # in the place of a loss
_NORMAL_95 = float(norm.ppf(0.975))  # two-sided
_SETTINGS = (Column("loss"), Column("T", "g"), Column("transfer"), Column("transfer items", ","))


class Settings(NamedTuple):
    """What a sweep chooses between."""

    loss: str  # on soft labels; CONTROL without them
    temperature: float | None  # None where it has no part
    transfer: str  # "none", or what the flag says
    transfer_items: int

    def __str__(self) -> str:
        softened = "" if self.temperature is None else f", T = {self.temperature:g}"
        more = f", transfer {self.transfer}" if self.transfer_items else ""
        return f"{self.loss}{softened}{more}"


@dataclass(frozen=True)
class Trial:
    """One student, measured on the validation part."""

    settings: Settings
    seed: int
    accuracy: Interval  # 95 %, over the items
    items: int
    agreement: float  # with the teacher
    url: str = ""  # of its run


@dataclass(frozen=True)
class Choice:
    """The trials of one setting, one for each seed."""

    settings: Settings
    trials: tuple[Trial, ...]

    @property
    def accuracies(self) -> list[float]:
        """Of each seed."""
        return [trial.accuracy.value for trial in self.trials]

    @property
    def accuracy(self) -> Interval:
        """Mean over the seeds, with its 95 % interval."""
        return mean_interval(self.accuracies, self.trials[0].items)

    @property
    def spread(self) -> float | None:
        """Standard deviation over seeds; None with one seed."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.trials) > 1 else None

    @property
    def agreement(self) -> float:
        """With the teacher, mean over the seeds."""
        return float(np.mean([trial.agreement for trial in self.trials]))


def mean_interval(accuracies: Sequence[float], items: int) -> Interval:
    """Mean over seeds that met the same items, with its 95 % interval.

    Items vary once, networks with every seed: Wilson's interval on the effective number of items
    (Kish 1965, sect. 8.2), that on which items alone would make the mean vary as much.
    """
    mean, seeds = float(np.mean(accuracies)), len(accuracies)
    of_items = mean * (1 - mean) / items
    of_seeds = float(np.var(accuracies, ddof=1)) / seeds if seeds > 1 else 0.0
    return _wilson(mean, items * of_items / (of_items + of_seeds) if of_seeds else items)


def _wilson(share: float, items: float) -> Interval:
    """95 % score interval (Wilson 1927) of a share of `items`, which need not be whole."""
    z = _NORMAL_95
    centre = share + z**2 / (2 * items)
    half = z * (share * (1 - share) / items + (z / (2 * items)) ** 2) ** 0.5
    of_both = 1 + z**2 / items
    return Interval(share, max(0.0, (centre - half) / of_both), min(1.0, (centre + half) / of_both))


def choices(trials: Sequence[Trial]) -> list[Choice]:
    """Trials by their settings, in the order in which these come first."""
    found: dict[Settings, list[Trial]] = {}
    for trial in trials:
        found.setdefault(trial.settings, []).append(trial)
    return [Choice(settings, tuple(of)) for settings, of in found.items()]


def is_control(of: Choice) -> bool:
    """Whether it learned from hard labels: such a one is compared with, never chosen."""
    return of.settings.loss == CONTROL


def ranked(of: Sequence[Choice]) -> list[Choice]:
    """Settings on soft labels, the best mean first."""
    soft = [choice for choice in of if not is_control(choice)]
    return sorted(soft, key=lambda choice: -choice.accuracy.value)


def verdict(of: Sequence[Choice]) -> str:
    """Which settings are the best on the validation part, and how far that can be trusted."""
    best, *others = ranked(of)
    ties = sum(_overlap(best, other) for other in others)
    lines = [f"The best on the validation part: {best.settings}: {_measured(best)}."]
    if others:
        undecided = "; among these the sweep does not decide" if ties else ""
        lines.append(f"Its interval overlaps with {ties} of {len(others)} others{undecided}.")
    for control in filter(is_control, of):
        apart = "overlaps with" if _overlap(best, control) else "lies apart from"
        lines.append(f"It {apart} that of the control, {CONTROL}: {_measured(control)}.")
    lines.append("All met the same items. The best of many looks better than it is.")
    return " ".join(lines)


def table_of_choices(of: Sequence[Choice]) -> Table:
    """One row for each setting, the best mean first, the controls last."""
    columns = (
        *_SETTINGS,
        Column("val/accuracy, mean over seeds", ".3f"),
        Column("spread", ".3f"),
        Column("lowest", ".3f"),
        Column("highest", ".3f"),
        Column("seeds"),
        Column("val/items", ".0f"),
        Column("val/agreement", ".3f"),
    )
    rows = [_row_of_choice(choice) for choice in [*ranked(of), *filter(is_control, of)]]
    return Table(columns, rows)


def table_of_trials(trials: Sequence[Trial]) -> Table:
    """One row for each student, in the order of training."""
    columns = (
        Column("trial"),
        *_SETTINGS,
        Column("seed"),
        Column("val/accuracy", ".3f"),
        Column("val/items", ".0f"),
        Column("val/agreement", ".3f"),
    )
    return Table(columns, [_row_of_trial(trial) for trial in trials])


def _row_of_choice(of: Choice) -> list[Cell]:
    lowest, highest = min(of.accuracies), max(of.accuracies)
    beside = (of.spread, lowest, highest, len(of.trials), of.trials[0].items, of.agreement)
    return [*of.settings, of.accuracy, *beside]


def _row_of_trial(of: Trial) -> list[Cell]:
    link = Link(f"{of.settings}, seed {of.seed}", of.url)
    return [link, *of.settings, of.seed, of.accuracy, of.items, of.agreement]


def _overlap(a: Choice, b: Choice) -> bool:
    return a.accuracy.low <= b.accuracy.high and b.accuracy.low <= a.accuracy.high


def _measured(of: Choice) -> str:
    value, low, high = of.accuracy
    seeds = "1 seed" if of.spread is None else f"spread {of.spread:.3f} over {len(of.trials)} seeds"
    return f"{value:.3f} (95 % {low:.3f} to {high:.3f}, {of.trials[0].items} items, {seeds})"
