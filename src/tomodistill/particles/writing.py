"""A classified list: in the format it came in, as CSV, and one list for each class.

RELION keeps labels it does not know, and warns ("will ignore (but maintain) values for the
unknown label", metadata_table.cpp), so that columns of ours survive its jobs.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tomodistill.errors import InputError
from tomodistill.particles import copick, dynamo
from tomodistill.particles.lists import Classified, ParticleList
from tomodistill.particles.star import cell, unquoted, write_star
from tomodistill.subtomograms.files import whole_file

_OURS = "tomodistill"  # how the names of our columns begin
_SCORE = f"{_OURS}Score"
_LONGEST_NAME = 50  # of a class, in that of a file: 255 bytes, up to 4 for a character
_NUMBER, _PROBABILITY = "rlnClassNumber", "rlnMaxValueProbDistribution"


def write_classified(particles: ParticleList, classified: Classified, folder: Path) -> list[Path]:
    """The list itself, its table as CSV, and a list per class that has particles; their paths.

    Every block and column stays. Class numbers and probabilities take the columns that RELION and
    Dynamo have for them; what stood there before moves to a column beside. Each file is whole or
    not there; lists of classes that had particles in an earlier classification go. Raises
    InputError for the folder that holds the list itself.
    """
    suffix = ".tbl" if particles.dialect == dynamo.DIALECT else ".star"
    stem = particles.path.stem
    whole = folder / f"{stem}{suffix}"
    if particles.path.exists() and whole.resolve() == particles.path.resolve():
        raise InputError(
            expected="a folder for results", found=f"that of {particles.path}", todo="Change out."
        )
    table = _with_classes(particles, classified)
    _write(whole, particles, table)
    as_csv = _write_csv(folder / f"{stem}.csv", table)
    written, of_classes = [whole, as_csv], folder / f"{stem}_classes"
    for number in np.unique(classified.numbers):
        name = re.sub(r"[^\w.-]+", "_", classified.names[number - 1])[:_LONGEST_NAME]
        part = of_classes / f"{number:03d}_{name}{suffix}"
        _write(part, particles, table[classified.numbers == number])
        written.append(part)
    for stale in set(of_classes.glob(f"*{suffix}")).difference(written):
        stale.unlink(missing_ok=True)
    if particles.dialect == copick.DIALECT:
        copick.write_picks(particles, classified)
    return written


def _with_classes(particles: ParticleList, classified: Classified) -> pd.DataFrame:
    table = particles.blocks[particles.block]
    number = dynamo.CLASS if particles.dialect == dynamo.DIALECT else _NUMBER
    before = {_before(name): table[name] for name in (number, _PROBABILITY) if name in table}
    names = np.array([cell(name) for name in classified.names], dtype=object)
    columns = {
        number: classified.numbers.astype(str),
        _PROBABILITY: _as_text(classified.probabilities, "%.6f"),
        **before,
        f"{_OURS}ClassName": names[classified.numbers - 1],
    }
    if classified.scores is not None:
        columns[_SCORE] = _as_text(classified.scores, "%.6g")
    return table.drop(columns=_SCORE, errors="ignore").assign(**columns)


def _before(name: str) -> str:
    """Where that goes which stood in a column that is ours now."""
    name = name.removeprefix("rln")
    return f"{_OURS}Previous{name[0].upper()}{name[1:]}"


def _as_text(values: NDArray[np.floating], style: str) -> NDArray[np.str_]:
    return np.char.mod(style, values)


def _write(path: Path, particles: ParticleList, table: pd.DataFrame) -> None:
    with whole_file(path) as partial:
        if particles.dialect == dynamo.DIALECT:
            dynamo.write_dynamo(partial, table)
        else:
            write_star(partial, {**particles.blocks, particles.block: table})


def _write_csv(path: Path, table: pd.DataFrame) -> Path:
    with whole_file(path) as partial:
        table.apply(lambda column: unquoted(column.astype("str"))).to_csv(partial, index=False)
    return path
