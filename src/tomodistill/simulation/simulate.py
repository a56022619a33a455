"""A subtomogram set from structures: what is in it, which seed makes each item, and the items."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.pool import Pool
from multiprocessing.resource_tracker import ensure_running
from typing import Literal

import numpy as np

from tomodistill.errors import InputError
from tomodistill.simulation import noise
from tomodistill.simulation.config import SimulationConfig
from tomodistill.simulation.convolution import draw_pose, signal_and_noise
from tomodistill.simulation.structures import Structure, structures_digest

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]

RECIPE = "convolution"
CONTRAST: Literal["dark", "bright"] = "dark"  # the CTF is not flipped
SPLITS = {"train": 0.64, "val": 0.16, "test": 0.20}
CHUNK = 16  # items handed to a worker at once


@dataclass(frozen=True)
class PlanItem:
    """One item before it is made; `index` counts within its split."""

    label: int
    split: str
    index: int


@dataclass(frozen=True, eq=False)
class SimulatedSubtomogram:
    """One finished item."""

    volume: Array  # (d, d, d) float32, z, y, x, protein dark, noise and wedge in it
    label: int
    split: str
    index: int
    quaternion: Array  # (4,) scalar last; takes the structure's (x, y, z) to the volume's
    shift: Array  # (3,) voxels, z, y, x
    defocus: float  # µm, underfocus positive
    seed: int


def plan(config: SimulationConfig, classes: int) -> list[PlanItem]:
    """Items in order: train, val, test; within each the classes take turns.

    Each of `classes` labels gets 64, 16 and 20 % of its share of `config.items`. Raises InputError
    when that leaves a split empty.
    """
    counts = _split_counts(config.items // classes)
    return [
        PlanItem(label, split, turn * classes + label)
        for split, count in counts.items()
        for turn in range(count)
        for label in range(classes)
    ]


def set_id(config: SimulationConfig, structures: tuple[Structure, ...]) -> str:
    """16 hex digits that name a set: recipe, parameters and the content of its structures."""
    parameters = asdict(config)
    for where in ("structures", "classes"):  # the digest says what they hold, wherever they lie
        del parameters[where]
    content = [RECIPE, parameters, structures_digest(structures)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def item_seed(set_id: str, split: str, index: int) -> int:
    """63-bit seed of one item, from sha256 over (set id, split, index)."""
    digest = hashlib.sha256(f"{set_id}|{split}|{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def simulate_subtomogram(
    structure: Structure, item: PlanItem, *, config: SimulationConfig, seed: int
) -> SimulatedSubtomogram:
    """The item that `seed` makes from a structure."""
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    pose = draw_pose(config, rng)
    signal, grain = signal_and_noise(structure, pose, config, rng)
    return SimulatedSubtomogram(
        volume=signal + grain,
        label=item.label,
        split=item.split,
        index=item.index,
        quaternion=pose.rotation.as_quat(),
        shift=pose.shift,
        defocus=pose.defocus,
        seed=seed,
    )


def simulate(
    config: SimulationConfig, structures: tuple[Structure, ...], *, workers: int
) -> Iterator[SimulatedSubtomogram]:
    """The whole set in the order of `plan`, the same bytes with any number of processes."""
    items = plan(config, len(structures))
    maker = _Maker(config, structures)
    if workers <= 1:
        yield from map(maker, items)
        return
    with _pool(workers, maker) as pool:
        yield from pool.imap(_make_in_worker, items, chunksize=CHUNK)


def measure_snr(
    config: SimulationConfig, structures: tuple[Structure, ...], *, resolution: float
) -> tuple[float, float]:
    """Median SNR of one new item of each class: over the full band, and within `resolution` Å."""
    rng = np.random.default_rng(config.seed)
    pairs = [
        signal_and_noise(structure, draw_pose(config, rng), config, rng) for structure in structures
    ]
    spacing = config.voxel_spacing
    full = [noise.snr(*pair) for pair in pairs]
    band = [noise.band_snr(*pair, voxel_spacing=spacing, resolution=resolution) for pair in pairs]
    return float(np.median(full)), float(np.median(band))


def _split_counts(of_class: int) -> dict[str, int]:
    counts = {split: round(share * of_class) for split, share in SPLITS.items()}
    counts["train"] += of_class - sum(counts.values())
    if min(counts.values()) < 1:
        raise InputError(
            expected="at least one item of each class in train, val and test",
            found=f"{of_class} of each class, which gives {counts}",
            todo="Raise items, the number in all (4 of each class are the least).",
        )
    return counts


class _Maker:
    """Makes any item of one set."""

    def __init__(self, config: SimulationConfig, structures: tuple[Structure, ...]) -> None:
        self.config, self.structures = config, structures
        self.set_id = set_id(config, structures)

    def __call__(self, item: PlanItem) -> SimulatedSubtomogram:
        seed = item_seed(self.set_id, item.split, item.index)
        structure = self.structures[item.label]
        return simulate_subtomogram(structure, item, config=self.config, seed=seed)


@contextmanager
def _pool(workers: int, maker: _Maker) -> Iterator[Pool]:
    """Worker processes that Ctrl-C never reaches: this process hears it, and ends them."""
    ensure_running()  # would let signals through again when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # workers inherit it
    context = multiprocessing.get_context("spawn")  # safe beside threads, TensorFlow's too
    try:
        with context.Pool(workers, _start_worker, (maker,)) as pool:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            yield pool
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_maker: _Maker  # of this worker process, set once when it starts


def _start_worker(maker: _Maker) -> None:
    global _maker
    _maker = maker


def _make_in_worker(item: PlanItem) -> SimulatedSubtomogram:
    return _maker(item)
