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


class Link(NamedTuple):
    """A text, and the page it leads to ("" = none)."""

    text: str
    url: str


Cell = str | float | Interval | Link | None
_SUFFIXES: dict[type, tuple[str, ...]] = {Interval: ("", "_low", "_high"), Link: ("", "_url")}


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
        """Numbers in full; an interval takes three columns (x, x_low, x_high), a link two."""
        suffixes = [self._suffixes(index) for index in range(len(self.columns))]
        named = zip(self.columns, suffixes, strict=True)
        header = [column.name + suffix for column, of in named for suffix in of]
        rows = [
            [value for cell, of in zip(row, suffixes, strict=True) for value in _values(cell, of)]
            for row in self.rows
        ]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([header, *rows])
        return text.getvalue()

    def _suffixes(self, index: int) -> tuple[str, ...]:
        """Names of the CSV columns that this column takes."""
        kinds = [_SUFFIXES.get(type(row[index]), ("",)) for row in self.rows]
        return max(kinds, key=len, default=("",))


def _shown(cell: Cell, form: str) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, Interval):
        value, low, high = (f"{number:{form}}" for number in cell)
        return f"{value} ({low} to {high})"
    if isinstance(cell, Link):
        return f"[{cell.text}]({cell.url})" if cell.url else cell.text
    return cell if isinstance(cell, str) else f"{cell:{form}}"


def _values(cell: Cell, suffixes: tuple[str, ...]) -> list[str | float]:
    """As many values as the column has names."""
    given: list[str | float]
    given = [*cell] if isinstance(cell, Interval | Link) else ["" if cell is None else cell]
    return given + [""] * (len(suffixes) - len(given))
