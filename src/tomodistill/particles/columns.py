"""Columns of a particle list by name, those of its optics groups among them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tomodistill.errors import InputError
from tomodistill.particles.lists import Names
from tomodistill.particles.star import unquoted

_GROUP = "rlnOpticsGroup"


@dataclass(frozen=True)
class Columns:
    """The cells of n particles: their own, or else those of their optics group."""

    path: Path
    table: pd.DataFrame  # n rows of text
    optics: pd.DataFrame | None = None

    def __contains__(self, name: str) -> bool:
        return name in self.table or (self.optics is not None and name in self.optics)

    def text(self, *names: str) -> Names | None:
        """(n,) cells of the first of `names` that there is."""
        cells = self._cells(names)
        return None if cells is None else unquoted(cells).to_numpy(dtype=object)

    def numbers(self, name: str) -> NDArray[np.float64] | None:
        """(n,) values. Raises InputError for a cell that is no finite number."""
        cells = self._cells((name,))
        if cells is None:
            return None
        values: NDArray[np.float64] = np.asarray(
            pd.to_numeric(cells, errors="coerce"), dtype=np.float64
        )
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            raise InputError(
                expected=f"a number in every row of {cells.name}",
                found=f"{cells.iloc[wrong[0]]!r} in row {wrong[0] + 1} of {self.path}",
                todo="Correct that row, or leave it out.",
            )
        return values

    def vectors(self, names: Iterable[str]) -> NDArray[np.float64] | None:
        """(n, 3) values of three columns; None if any is missing."""
        columns = [self.numbers(name) for name in names]
        known = [column for column in columns if column is not None]
        return np.stack(known, axis=1) if len(known) == 3 else None

    def _cells(self, names: Iterable[str]) -> pd.Series | None:
        name = next((name for name in names if name in self), None)
        if name is None or name in self.table:
            return None if name is None else self.table[name]
        return self._of_groups(name)

    def _of_groups(self, name: str) -> pd.Series:
        """A column of the optics, spread over the particles."""
        assert self.optics is not None
        if _GROUP not in self.table and len(self.optics) == 1:
            return pd.Series([self.optics[name].iloc[0]] * len(self.table), name=name, dtype="str")
        if _GROUP not in self.table or _GROUP not in self.optics:
            raise self._lost(f"no {_GROUP} with which to join them")
        by_group = self.optics.drop_duplicates([_GROUP, name]).set_index(_GROUP)[name]
        if not by_group.index.is_unique:
            group = by_group.index[by_group.index.duplicated()][0]
            raise self._lost(f"two of {_GROUP} {group}, whose {name} differ")
        cells = self.table[_GROUP].map(by_group).rename(name)
        if cells.isna().any():
            raise self._lost(f"none with {_GROUP} {self.table[_GROUP][cells.isna()].iloc[0]}")
        return cells

    def _lost(self, found: str) -> InputError:
        return InputError(
            expected=f"one optics group for every particle of {self.path}",
            found=found,
            todo="Take particles and optics groups from one file.",
        )
