"""What is in a set: its classes, its items in their order, and the seed of each."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from math import ceil

from tomodistill.errors import InputError
from tomodistill.simulation.config import SimulationConfig
from tomodistill.simulation.structures import NONE, Structure, structures_digest

SPLITS = {"train": 0.64, "val": 0.16, "test": 0.20}
# Where structures come from, of which the digest says what they hold; and how volumes are kept.
FEWEST = 4  # items of a class, for one in each split
_NOT_IN_ITEMS = ("structures", "classes", "map_spacing", "storage")


@dataclass(frozen=True)
class PlanItem:
    """One item before it is made; `index` counts within its split."""

    label: int
    split: str
    index: int


def class_names(config: SimulationConfig, structures: tuple[Structure, ...]) -> tuple[str, ...]:
    """Names in label order; `none` comes last."""
    return tuple(s.name for s in structures) + ((NONE,) if config.none > 0 else ())


def plan(config: SimulationConfig, structures: int) -> list[PlanItem]:
    """Items in order: train, val, test; within each the classes take turns.

    Each class gets 64, 16 and 20 % of its share of `config.items`, rounded down. Raises InputError
    when that leaves a split of a class empty.
    """
    counts = [
        _split_counts(count, config, structures) for count in _class_counts(config, structures)
    ]
    return [
        PlanItem(label, split, index)
        for split in SPLITS
        for index, label in enumerate(_turns([count[split] for count in counts]))
    ]


def set_id(config: SimulationConfig, structures: tuple[Structure, ...]) -> str:
    """16 hex digits that name what is in a set: its parameters and its structures' content."""
    parameters = asdict(config)
    for name in _NOT_IN_ITEMS:
        del parameters[name]
    content = [parameters, structures_digest(structures)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def item_seed(set_id: str, split: str, index: int) -> int:
    """63-bit seed of one item, from sha256 over (set id, split, index)."""
    digest = hashlib.sha256(f"{set_id}|{split}|{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _class_counts(config: SimulationConfig, structures: int) -> list[int]:
    """Items of each class, `none` last if there is one."""
    of_class = int(config.items / (structures + config.none) + 1e-9)
    counts = [of_class] * structures
    return [*counts, round(of_class * config.none)] if config.none > 0 else counts


def _turns(counts: list[int]) -> list[int]:
    """Labels in turn, each spread evenly from the first to the last."""
    places = [
        ((turn + 0.5) / count, label) for label, count in enumerate(counts) for turn in range(count)
    ]
    return [label for _, label in sorted(places)]


def _split_counts(of_class: int, config: SimulationConfig, structures: int) -> dict[str, int]:
    counts = {split: round(share * of_class) for split, share in SPLITS.items()}
    counts["train"] += of_class - sum(counts.values())
    if min(counts.values()) < 1:
        needed = ceil(FEWEST / min(1.0, config.none or 1.0)) * (structures + config.none)
        raise InputError(
            expected="at least one item of each class in train, val and test",
            found=f"{of_class} of one class, which gives {counts}",
            todo=f"Give items={ceil(needed)} or more: the number in all.",
        )
    return counts
