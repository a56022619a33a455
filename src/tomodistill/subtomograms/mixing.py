"""Several subtomogram sets as one: simulated and experimental ones, or those of several sessions.

The parts follow each other; every item keeps its split, so that what was held out stays so.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomodistill.errors import InputError
from tomodistill.subtomograms.contents import check_apart
from tomodistill.subtomograms.dataset import (
    UNLABELLED,
    SetHeader,
    SubtomogramSet,
    open_set,
    write_set,
)
from tomodistill.subtomograms.items import Item, Storage
from tomodistill.subtomograms.row_file import rows_per_block

SIMULATED = "simulated"  # in the place of a path: the set that the other flags describe


@dataclass(frozen=True)
class TrainingData:
    """Which subtomograms a training learns from."""

    data: str = SIMULATED  # subtomogram sets (paths), or "simulated"; comma-separated: mixed

    def __post_init__(self) -> None:
        if not all(self.parts) or len(set(self.parts)) < len(self.parts):
            raise _refusal(repr(self.data))

    @property
    def parts(self) -> tuple[str, ...]:
        """Each of them, in order."""
        return tuple(part.strip() for part in self.data.split(","))

    @property
    def paths(self) -> tuple[Path, ...]:
        """Of those that are files."""
        return tuple(Path(part) for part in self.parts if part != SIMULATED)

    @property
    def has_simulated(self) -> bool:
        """Whether some are simulated."""
        return SIMULATED in self.parts


def write_mixed_set(path: Path, parts: Mapping[str, SubtomogramSet]) -> SubtomogramSet:
    """The items of all `parts`, by name, one part after the other; an interrupted set is continued.

    Classes are united in order of first appearance; contrast is that of the first part: others
    change their sign, which loses nothing. Raises InputError for sets that do not fit together and
    for an item that is in two of them.
    """
    sets = list(parts.values())
    check_same_voxels(sets)
    check_apart(sets)
    header = _header(parts)

    def items(start: int) -> Iterator[Item]:
        return _items(sets, header, start)

    return write_set(path, header, items, sum(len(of.ids) for of in sets), storage=_storage(sets))


def check_same_voxels(sets: Sequence[SubtomogramSet]) -> None:
    """Raises InputError, naming both, for a set of another box or voxel spacing than the first."""
    first, *others = sets
    for other in others:
        if _voxels(first.header) != _voxels(other.header):
            raise InputError(
                expected=f"sets of one box and voxel spacing: {_voxels(first.header)} "
                f"as in {first.path}",
                found=f"{_voxels(other.header)} in {other.path}",
                todo="Ingest or simulate one of them again, with the other's box and "
                "voxel_spacing.",
            )


def open_parts(data: TrainingData) -> list[SubtomogramSet]:
    """Those that are files, not verified. Raises InputError for one that is not there."""
    for path in data.paths:
        if not path.is_file():
            raise _refusal(f"no file on this machine: {path}")
    return [open_set(path) for path in data.paths]


def rows_of_sources(data: SubtomogramSet, split: str) -> dict[str, NDArray[np.int64]]:
    """Name of each part of a mixed set -> (m,) which of the items of `split` are its own.

    They count within `data.rows(split)`. Nothing for a set that is not mixed.
    """
    parts = data.header.recipe.get("mixed", [])
    ends = np.cumsum([part["items"] for part in parts])
    source = np.searchsorted(ends, data.rows(split), side="right")
    return {part["name"]: np.flatnonzero(source == i) for i, part in enumerate(parts)}


def _header(parts: Mapping[str, SubtomogramSet]) -> SetHeader:
    sets = list(parts.values())
    names = dict.fromkeys(name for of in sets for name in of.header.class_names)
    hands = {of.header.handedness for of in sets}
    recipe: dict[str, Any] = {
        "mixed": [
            {"name": name, "sha256": of.digest, "items": len(of.ids)} for name, of in parts.items()
        ]
    }
    return replace(
        sets[0].header,
        set_id=hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:16],
        class_names=tuple(names),
        handedness=hands.pop() if len(hands) == 1 else "unknown",
        recipe=recipe,
    )


def _items(sets: Sequence[SubtomogramSet], header: SetHeader, start: int) -> Iterator[Item]:
    """From position `start` on. Where two sets share an id, each item bears that of its set too."""
    every = [id for data in sets for id in data.ids.tolist()]
    clash = len(set(every)) < len(every)
    for data in sets:
        step = rows_per_block(4 * header.box**3)
        for first in range(min(start, len(data.ids)), len(data.ids), step):
            rows = np.arange(first, min(first + step, len(data.ids)))
            yield from _block(data, rows, header, f"{data.header.set_id}/" if clash else "")
        start = max(start - len(data.ids), 0)


def _block(
    data: SubtomogramSet, rows: NDArray[np.int64], header: SetHeader, prefix: str
) -> Iterator[Item]:
    labels = {name: label for label, name in enumerate(header.class_names)}
    own = [labels[name] for name in data.header.class_names]
    volumes = data.volumes(rows, contrast=header.contrast)
    for row, volume in zip(rows, volumes, strict=True):
        known = {name: values[row] for name, values in data.columns.items()}
        label = UNLABELLED if known["label"] == UNLABELLED else own[known["label"]]
        yield Item(volume=volume, **{**known, "label": label, "id": prefix + known["id"]})


def _storage(sets: Sequence[SubtomogramSet]) -> Storage:
    return "float16" if all(of.storage == "float16" for of in sets) else "float32"


def _voxels(header: SetHeader) -> str:
    return f"{header.box} voxels at {header.voxel_spacing:g} Å"


def _refusal(found: str) -> InputError:
    return InputError(
        expected='data: "simulated", or paths of subtomogram sets, comma-separated, each once',
        found=found,
        todo="Make a set with `ingest`.",
    )
