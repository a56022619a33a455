"""STAR files: every block and cell as text, exactly as it stood, in and out."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gemmi
import pandas as pd
from pandas.api.extensions import ExtensionArray

from tomodistill.errors import InputError

_HEAD = 4096  # bytes
_VERSION = re.compile(rb"^# version .*$", re.MULTILINE)  # by which RELION knows its older files
_PLAIN = re.compile(r"(?!(data|loop|save|stop|global)_)[A-Za-z0-9][\w.+-]*", re.IGNORECASE)
_PAIRS, _COMMENT = "pairs", "comment"  # attributes of a table
# Characters that RELION takes and CIF, by whose rules gemmi reads, does not: letters beyond ASCII,
# and $ at the beginning of a cell. gemmi gets their numbers, as HTML writes them.
_ODD = re.compile(r"[^\0-\x7f]|(?<!\S)\$|&(?=#)")
_NUMBERED = re.compile(r"&#(\d+);")
_CELLS = re.compile(r"""#.*|'.*?'(?!\S)|".*?"(?!\S)|\S+""")  # of a line, its comment the last


def read_star(path: Path) -> dict[str, pd.DataFrame]:
    """Tables of text by the name of their block; quotes around a cell are kept.

    Raises InputError for what is no STAR file, or one whose rows differ in length.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if b"\0" in head:
        raise _refusal(path, "a binary file")
    version = _VERSION.search(head)
    try:
        blocks = _blocks(path)
    except (RuntimeError, UnicodeDecodeError, ValueError) as error:
        raise _refusal(path, _ragged_line(path) or str(error)) from error
    for table in blocks.values():
        table.attrs[_COMMENT] = version.group().decode(errors="replace") if version else ""
    return blocks


def write_star(path: Path, blocks: Mapping[str, pd.DataFrame]) -> None:
    """Write tables of text, those that were lists of names and values as such again."""
    with path.open("w", encoding="utf-8", newline="") as file:
        for name, table in blocks.items():
            comment = table.attrs.get(_COMMENT, "")
            file.write(f"\n{comment}\n\ndata_{name}\n\n" if comment else f"\ndata_{name}\n\n")
            if table.attrs.get(_PAIRS):
                file.writelines(f"_{column} {table[column].iloc[0]}\n" for column in table)
            elif len(table.columns):
                heads = (f"_{column} #{number}\n" for number, column in enumerate(table, 1))
                file.writelines(("loop_\n", *heads))
                table.to_csv(file, sep="\t", header=False, index=False, quoting=csv.QUOTE_NONE)
            file.write("\n")


def unquoted(cells: pd.Series) -> pd.Series:
    """What quoted cells say; the same series where none is quoted."""
    quoted = cells.str.startswith(("'", '"'))
    return cells.map(gemmi.cif.as_string) if quoted.any() else cells


def cell(text: str) -> str:
    """One that says `text`, in quotes where it must be."""
    return text if _PLAIN.fullmatch(text) else str(gemmi.cif.quote(text))


def _blocks(path: Path) -> dict[str, pd.DataFrame]:
    try:
        return _tables(gemmi.cif.read_file(str(path)))
    except (RuntimeError, ValueError):  # odd ones, or the mark with which editors on Windows begin
        text = _ODD.sub(lambda odd: f"&#{ord(odd[0])};", path.read_text("utf-8-sig"))
        tables = _tables(gemmi.cif.read_string(text))
        return {
            _with_odd(name): table.map(_with_odd).rename(columns=_with_odd)
            for name, table in tables.items()
        }


def _with_odd(text: str) -> str:
    return _NUMBERED.sub(lambda number: chr(int(number[1])), text)


def _tables(document: gemmi.cif.Document) -> dict[str, pd.DataFrame]:
    return {block.name.strip(): _table(block) for block in document}


def _table(block: gemmi.cif.Block) -> pd.DataFrame:
    items: list[Any] = list(block)
    loops = [item.loop for item in items if item.loop]
    pairs = dict(item.pair for item in items if item.pair)
    if len(loops) + bool(pairs) > 1:
        raise ValueError(f"more than one table in data_{block.name}")
    if pairs:
        table = pd.DataFrame({_name(tag): _text([cell]) for tag, cell in pairs.items()})
        table.attrs[_PAIRS] = True
        return table
    tags = loops[0].tags if loops else []
    return pd.DataFrame({_name(tag): _text(list(block.find_loop(tag))) for tag in tags})


def _name(tag: str) -> str:
    return tag.removeprefix("_")


def _text(cells: list[str]) -> ExtensionArray:
    """A column of pandas' own, in which a million cells do not take a Python object each."""
    return pd.array(cells, dtype="str")


def _ragged_line(path: Path) -> str:
    """Of the first row that is shorter or longer than its table is wide; "" if none is."""
    width = 0
    in_loop = False
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        cells = [cell for cell in _CELLS.findall(line) if not cell.startswith("#")]
        if not cells:
            continue
        if cells[0] == "loop_":
            width, in_loop = 0, True
        elif cells[0].startswith("data_"):
            in_loop = False
        elif cells[0].startswith("_"):
            width += 1
        elif in_loop and len(cells) != width:
            return f"{len(cells)} cells for {width} columns in line {number}"
    return ""


def _refusal(path: Path, found: str) -> InputError:
    return InputError(
        expected=f"a whole STAR file: {path}", found=found, todo="Correct it, or write it again."
    )
