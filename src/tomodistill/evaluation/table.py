"""A small table as a value: the same cells as Markdown for people and as CSV for programs."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Interval(NamedTuple):
    """A value and the ends of its interval."""

    value: float
    low: float
    high: float


Cell = str | float | Interval | None


class Column(NamedTuple):
    """A heading, and how its numbers are shown to people."""

    name: str
    format: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells, one for each column; None where there is nothing to say."""

    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Cell]]

    def markdown(self) -> str:
        """A pipe table; numbers by their column's format, intervals in brackets."""
        lines = [[column.name for column in self.columns], ["---"] * len(self.columns)]
        lines += [
            [_shown(cell, column.format) for cell, column in zip(row, self.columns, strict=True)]
            for row in self.rows
        ]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def csv(self) -> str:
        """Numbers in full; an interval takes three columns: name, name_low, name_high."""
        wide = [any(isinstance(row[i], Interval) for row in self.rows) for i in self._indices]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        names = map(_spread, (column.name for column in self.columns), wide)
        writer.writerow([name for group in names for name in group])
        for row in self.rows:
            cells = map(_values, row, wide)
            writer.writerow([value for group in cells for value in group])
        return text.getvalue()

    @property
    def _indices(self) -> range:
        return range(len(self.columns))


def _shown(cell: Cell, form: str) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, Interval):
        value, low, high = (f"{number:{form}}" for number in cell)
        return f"{value} ({low} to {high})"
    return cell if isinstance(cell, str) else f"{cell:{form}}"


def _spread(name: str, wide: bool) -> list[str]:
    return [name, f"{name}_low", f"{name}_high"] if wide else [name]


def _values(cell: Cell, wide: bool) -> list[str | float]:
    if isinstance(cell, Interval):
        return list(cell)
    return ["" if cell is None else cell, *([""] * 2 if wide else [])]
