"""Dynamo's tables: columns without names, voxels that count from 1.

A position r is the pixel of index r, the first being 1 (Dynamo wiki, Volume center), and a found
shift is added to it. Rotations turn the template onto the particle about z, x and z again.
"""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
from dynamotable.utils import COLUMN_NAMES
from numpy.typing import NDArray

from tomodistill.errors import InputError
from tomodistill.particles.columns import Columns
from tomodistill.particles.identity import unique
from tomodistill.particles.lists import Names, ParticleList, Positions

DIALECT = "Dynamo"
CLASS = "class"  # column
_NAMELESS = "column"  # and a number: what Dynamo has no name for
_FEWEST = 26  # columns: z is the last that is needed


def read_dynamo(path: Path) -> ParticleList:
    """The particles of a .tbl, their tomograms by name where a .doc of the same name lists them.

    Raises InputError for what is no such table.
    """
    table = _table(path)
    columns = Columns(path, table)
    return ParticleList(
        path=path,
        dialect=DIALECT,
        blocks={"": table},
        block="",
        ids=unique(_text(columns, "tag"), "tag", columns),
        tomograms=_tomograms(columns),
        positions=_positions(columns),
        angles=_angles(columns),
        classes=_text(columns, CLASS),
    )


def write_dynamo(path: Path, table: pd.DataFrame) -> None:
    """Write the columns that a Dynamo table has, whatever else is in `table`."""
    columns = [name for name in table if name in COLUMN_NAMES or name.startswith(_NAMELESS)]
    table[columns].to_csv(path, sep=" ", header=False, index=False, quoting=csv.QUOTE_NONE)


def _table(path: Path) -> pd.DataFrame:
    """Every cell as text; of rows of differing lengths none is one."""
    try:
        table = pd.read_csv(path, sep=r"\s+", header=None, dtype="str", keep_default_na=False)
    except (UnicodeDecodeError, pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise _refusal(path, str(error)) from error
    short = table.eq("").any(axis=1)
    if short.any():
        raise _refusal(path, f"row {int(short.argmax()) + 1} is shorter than the others")
    if table.shape[1] < _FEWEST:
        raise _refusal(path, f"{table.shape[1]} columns")
    names = [
        *COLUMN_NAMES,
        *(f"{_NAMELESS}{n + 1}" for n in range(len(COLUMN_NAMES), table.shape[1])),
    ]
    return table.set_axis(names[: table.shape[1]], axis=1)


def _positions(columns: Columns) -> Positions:
    values = _vectors(columns, "z", "y", "x") - 1
    apix = columns.numbers("apix")
    spacing = np.full(len(values), np.nan) if apix is None else np.where(apix > 0, apix, np.nan)
    offsets = -_vectors(columns, "dz", "dy", "dx")
    return Positions(values, False, "corner", spacing, offsets, offset_spacing=spacing)


def _angles(columns: Columns) -> NDArray[np.float64]:
    """(n, 3) rot, tilt, psi: Rz(a) Rx(t) Rz(b) = Rz(a - 90°) Ry(t) Rz(b + 90°)."""
    tdrot, tilt, narot = _vectors(columns, "tdrot", "tilt", "narot").T
    return np.stack([narot - 90, tilt, tdrot + 90], axis=1)


def _tomograms(columns: Columns) -> Names:
    """(n,) file names by the table's own list of tomograms, or else their numbers."""
    numbers = _numbers(columns, "tomo").astype(int).astype(str).astype(object)  # "1.0" as well
    listed = columns.path.with_suffix(".doc")
    if not listed.is_file():
        return numbers
    named = _named(listed)
    return np.array([named.get(number, number) for number in numbers], dtype=object)


def _named(listed: Path) -> dict[str, str]:
    """Number of a tomogram -> its file, whose name may have blanks, in quotes or without."""
    lines = listed.read_text(errors="replace").splitlines()
    pairs = [line.strip().split(maxsplit=1) for line in lines]
    return {pair[0]: pair[1].strip("\"'") for pair in pairs if len(pair) == 2}


def _text(columns: Columns, name: str) -> Names:
    cells = columns.text(name)
    assert cells is not None
    return cells


def _numbers(columns: Columns, name: str) -> NDArray[np.float64]:
    numbers = columns.numbers(name)
    assert numbers is not None
    return numbers


def _vectors(columns: Columns, *names: str) -> NDArray[np.float64]:
    vectors = columns.vectors(names)
    assert vectors is not None
    return vectors


def _refusal(path: Path, found: str) -> InputError:
    return InputError(
        expected=f"a Dynamo table of {_FEWEST} columns or more: {path}",
        found=found,
        todo="Write it with dwrite in Dynamo.",
    )
