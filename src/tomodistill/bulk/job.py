"""The folder of a job: what is to be done, by which model, and what stands already.

    plan/  (job.json, model/, *.npy)   shards/   set_aside/   results/

The plan appears whole, and never changes.

It needs no registry, no scheduler and no memory of whoever began it: any process that sees the
folder and the volumes can go on.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tomodistill.bulk.config import BulkConfig
from tomodistill.errors import InputError
from tomodistill.inference.version import Manifest, read_manifest
from tomodistill.subtomograms.preprocessing import Contrast

SCHEMA_VERSION = 1
_SHOWN = 5  # of many lists, or files
PLAN = "plan"
MANIFEST, MODEL, SHARD_TABLE = f"{PLAN}/job.json", f"{PLAN}/model", f"{PLAN}/shards.npy"
SHARDS, SET_ASIDE, RESULTS = "shards", "set_aside", "results"
LISTS, PAGE = "classified", "report.html"  # for people: a folder of lists, and what came out
PLANNING = ".planning-"  # and a random name: the folder of a plan that is not whole yet
PLANNING_SECONDS = 86400.0  # without a change, before it is taken to be nobody's
# Of one particle, in the order of work: its row in the list, its file, and where in that.
PLACE = np.dtype([("row", "<i8"), ("file", "<i4"), ("at", "<f8", 3)])


@dataclass(frozen=True)
class Listed:
    """One particle list, or a number of boxes without one."""

    path: str
    dialect: str
    count: int  # particles
    stamp: str  # of the file when it was planned; "" where boxes have none


@dataclass(frozen=True)
class Facts:
    """What was found out about the volumes when the job was planned."""

    edge: int  # voxels of the volumes that are read, of the largest
    voxel_spacing: float  # Å
    contrast: Contrast
    contrast_from: str  # how it is known, in words
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """The particles of one shard, of the list at position `list`."""

    list: int
    places: NDArray[np.void]  # (m,) PLACE
    files: NDArray[np.void]  # of the list, which `places` point into: see `plan`


@dataclass(frozen=True)
class Job:
    """An opened job folder."""

    folder: Path
    config: BulkConfig
    model: str  # URI or folder of the version, for people
    lists: tuple[Listed, ...]
    facts: Facts
    digest: str  # sha256 of all the above, of the model and of the plan; results carry it

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Raises InputError if the folder is no job of this program."""
        try:
            read = json.loads((folder / MANIFEST).read_text())
            if read["schema_version"] != SCHEMA_VERSION:
                raise _refusal(f"schema {SCHEMA_VERSION}", f"{read['schema_version']}: {folder}")
            facts = read["facts"]
            return cls(
                folder,
                BulkConfig(**read["config"]),
                read["model"],
                tuple(Listed(**each) for each in read["lists"]),
                Facts(**{**facts, "warnings": tuple(facts["warnings"])}),
                read["digest"],
            )
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise _refusal(f"a job folder with a {MANIFEST}", f"{folder}: {error!r}") from error

    def verify(self) -> None:
        """Raises InputError unless every file of the plan is as it was written."""
        known = json.loads((self.folder / MANIFEST).read_text())
        if known.pop("digest") != _digest(known, self.folder):
            raise _refusal("a plan as it was written", f"a damaged one: {self.folder / PLAN}")

    @cached_property
    def manifest(self) -> Manifest:
        """Of the model, its files verified."""
        return read_manifest(self.folder / MODEL)

    @cached_property
    def shards(self) -> NDArray[np.int64]:
        """(s, 3) of each shard its list, and its first and last place there; the last excluded."""
        return np.asarray(np.load(self.folder / SHARD_TABLE), np.int64)

    @property
    def particles(self) -> int:
        """Of all lists."""
        return sum(listed.count for listed in self.lists)

    def sources(self) -> list[str]:
        """Of the first lists, for people: as what they were taken, and which files serve them."""
        lines = [self._source(at) for at in range(min(len(self.lists), _SHOWN))]
        more = len(self.lists) - _SHOWN
        return [*lines, f"and {more:,} more lists"] if more > 0 else lines

    def _source(self, at: int) -> str:
        listed, files = self.lists[at], np.load(plan_files(self.folder, at)[1], mmap_mode="r")
        names = [Path(os.fsdecode(path)).name for path in files["path"][:_SHOWN].tolist()]
        more = f" and {len(files) - _SHOWN:,} more files" if len(files) > _SHOWN else ""
        counted = f"{Path(listed.path).name} ({listed.dialect}, {listed.count:,} particles)"
        return f"{counted} in {', '.join(names)}{more}"

    def task(self, shard: int) -> Task:
        """What is to be done; only that part of the plan is read."""
        at, start, stop = self.shards[shard].tolist()
        places, files = (np.load(path, mmap_mode="r") for path in plan_files(self.folder, at))
        return Task(at, np.array(places[start:stop]), files)

    def shard_path(self, shard: int) -> Path:
        """Where its results stand, if they do; a thousand in a folder."""
        return self.folder / SHARDS / f"{shard // 1000:04d}" / f"{shard:07d}.shard"

    def size(self, shard: int) -> int:
        """Particles of a shard."""
        _, start, stop = self.shards[shard].tolist()
        return int(stop - start)

    def standing(self) -> set[int]:
        """Shards that have been written; whether they are sound the merge finds out."""
        return {int(path.stem) for path in (self.folder / SHARDS).glob("*/*.shard")}


def plan_files(folder: Path, at: int) -> tuple[Path, Path]:
    """Of the list at position `at`: its places in the order of work, and its files."""
    return folder / PLAN / f"{at:05d}.places.npy", folder / PLAN / f"{at:05d}.files.npy"


def seal(job: Job) -> None:
    """Write what is known of a drafted job, with the digest over all of it: planning ends so."""
    known = {
        "schema_version": SCHEMA_VERSION,
        "config": asdict(job.config),
        "model": job.model,
        "lists": [asdict(listed) for listed in job.lists],
        "facts": asdict(job.facts),
    }
    text = json.dumps({**known, "digest": _digest(known, job.folder)}, indent=2)
    (job.folder / MANIFEST).write_text(f"{text}\n")


def _digest(known: dict[str, Any], folder: Path) -> str:
    content = hashlib.sha256(json.dumps(known, sort_keys=True).encode())
    for path in _inputs(folder):
        with path.open("rb") as file:
            content.update(hashlib.file_digest(file, "sha256").digest())
    return content.hexdigest()


def _inputs(folder: Path) -> Iterator[Path]:
    yield from sorted((folder / PLAN).glob("*.npy"))
    yield folder / MODEL / "manifest.json"


def _refusal(expected: str, found: str) -> InputError:
    return InputError(expected=expected, found=found, todo="Give another folder with out=FOLDER.")
