"""Tomograms of noise with lists of positions in them, as files; jobs over them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np

from tests.versions import BOX, SPACING
from tomodistill.bulk.config import BulkConfig
from tomodistill.bulk.job import Job
from tomodistill.bulk.plan import plan

SIDE = 60  # voxels of a tomogram


def write_tomogram(path: Path, *, seed: int, spacing: float = SPACING) -> np.ndarray:
    """(z, y, x) noise, in which every box is another."""
    volume = np.random.default_rng(seed).normal(3.0, 2.0, (SIDE, SIDE, SIDE)).astype(np.float32)
    with mrcfile.new(path, data=volume) as file:
        file.voxel_size = spacing
    return volume


def positions(count: int, seed: int = 0) -> np.ndarray:
    """(count, 3) z, y, x, whole voxels whose boxes lie inside."""
    return np.random.default_rng(seed).integers(BOX // 2 + 1, SIDE - BOX // 2 - 1, (count, 3))


def write_star(path: Path, at: np.ndarray, names: Sequence[str]) -> Path:
    """A RELION 3 list of (n, 3) z, y, x voxels in tomograms of these names."""
    rows = [f"{name} {x} {y} {z}" for name, (z, y, x) in zip(names, at.tolist(), strict=True)]
    columns = ("MicrographName", "CoordinateX", "CoordinateY", "CoordinateZ")
    heads = [f"_rln{column} #{i}" for i, column in enumerate(columns, 1)]
    path.write_text("\n".join(["data_", "", "loop_", *heads, *rows, ""]))
    return path


def write_inputs(folder: Path, count: int = 20) -> BulkConfig:
    """Two tomograms, and a list of `count` particles that goes from one to the other and back."""
    for seed, name in enumerate(("one", "two")):
        write_tomogram(folder / f"{name}.mrc", seed=seed)
    names = [("one", "two")[i % 2] for i in range(count)]
    star = write_star(folder / "list.star", positions(count), names)
    return BulkConfig(
        particles=str(star), tomograms=str(folder), contrast="dark", engine="openvino", shard=4
    )


def make_job(folder: Path, version: Path, **changes: Any) -> Job:
    """A planned job over `write_inputs`."""
    config = write_inputs(folder)
    config = BulkConfig(**{**vars(config), **changes})
    return plan(folder / "job", config, version=version, model="student version 1")
