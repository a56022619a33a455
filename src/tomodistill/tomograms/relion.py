"""RELION's tomograms.star: which file each tomogram is, and its voxel spacing."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tomodistill.errors import InputError
from tomodistill.particles.star import read_star, unquoted
from tomodistill.tomograms.named import located

_TOMO = "rlnTomo"  # how its columns begin
_NAME = "rlnTomoName"
_FILES = ("rlnTomoReconstructedTomogram", "rlnTomoReconstructedTomogramDenoised")  # first it has
_SPACING, _BINNING = "rlnTomoTiltSeriesPixelSize", "rlnTomoTomogramBinning"


@dataclass(frozen=True)
class FoundTomogram:
    """The file of one name."""

    path: Path
    voxel_spacing: float | None = None  # Å, if a list of tomograms states it


def read_tomograms(star: Path, names: list[str]) -> dict[str, FoundTomogram]:
    """Of `names` those that the file lists, and that are there.

    Their paths count from here or from a folder above the file. Raises InputError for a file that
    lists no reconstructions.
    """
    table = _table(star)
    listed = dict(zip(table[_NAME], table.index, strict=True))
    column = next(column for column in _FILES if column in table)
    found = {}
    for name in names:
        path = located(table.at[listed[name], column], star.parent) if name in listed else None
        if path:
            found[name] = FoundTomogram(path, _voxel_spacing(table.loc[listed[name]]))
    return found


def _table(star: Path) -> pd.DataFrame:
    if not star.is_file():
        raise InputError(expected="a STAR file", found=f"none: {star}", todo="Correct tomograms=.")
    blocks = read_star(star)
    for block in blocks.values():
        if _NAME in block and any(column in block for column in _FILES):
            return block.apply(unquoted)
    columns = [column for block in blocks.values() for column in block if _TOMO in column]
    raise InputError(
        expected=f"a block with {_NAME} and {_FILES[0]}: {star}",
        found=", ".join(columns) or f"no column of {_TOMO}",
        todo="Give the tomograms.star of RELION's reconstruction, or the folder of tomograms.",
    )


def _voxel_spacing(row: pd.Series) -> float | None:
    if not {_SPACING, _BINNING} <= set(row.index):
        return None
    return float(row[_SPACING]) * float(row[_BINNING])
