"""One large tomogram with many positions in it, and the processes that classify them."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import mrcfile
import numpy as np
import psutil
from numpy.typing import NDArray

from tests.processes import entry_point, environment
from tomodistill.inference.version import PROBE, Manifest, read_manifest

SHAPE = (512, 720, 720)  # voxels
_PAUSE = 0.02  # seconds between two looks at processes
_COLUMNS = ("MicrographName", "CoordinateX", "CoordinateY", "CoordinateZ")


class Stage(NamedTuple):
    """What `predict` is asked to classify."""

    folder: Path
    version: Path
    manifest: Manifest
    at: NDArray[np.int64]  # (n, 3) z, y, x voxels

    def star(self, count: int) -> Path:
        """A list of the first `count` positions."""
        path = self.folder / f"{count}.star"
        if path.exists():  # a job must find it as it was
            return path
        heads = [f"_rln{name} #{i}" for i, name in enumerate(_COLUMNS, 1)]
        rows = (f"tomogram {x} {y} {z}" for z, y, x in self.at[:count].tolist())
        path.write_text("\n".join(["data_", "", "loop_", *heads, *rows, ""]))
        return path

    def flags(self, count: int, **more: object) -> dict[str, str]:
        """Of `predict`."""
        known = {"particles": self.star(count), "tomograms": self.folder, "model": self.version}
        stated = {"contrast": self.manifest.contrast, "engine": "openvino", **known, **more}
        return {name: f"{value}" for name, value in stated.items()}

    def predict(self, count: int, **more: object) -> "subprocess.Popen[bytes]":
        """A process that classifies so many."""
        flags = [f"--{name}={value}" for name, value in self.flags(count, **more).items()]
        store = f"sqlite:///{self.folder / 'mlflow.db'}"
        return subprocess.Popen(
            entry_point("predict", *flags),
            cwd=self.folder,
            env=environment(store, MLFLOW_DISABLE_TELEMETRY="true"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )


def stage(folder: Path, version: Path, *, particles: int, shape: tuple[int, ...] = SHAPE) -> Stage:
    """Noise in which the version's probe stands side by side; positions anywhere inside."""
    manifest, rng = read_manifest(version), np.random.default_rng(8)
    box = manifest.box
    _write_tomogram(folder / "tomogram.mrc", shape, np.load(version / PROBE), manifest, rng)
    inside = np.array(shape) - box
    at = rng.integers(0, inside, (particles, 3)) + box // 2
    return Stage(folder, version, manifest, at)


def _write_tomogram(
    path: Path,
    shape: tuple[int, ...],
    probe: NDArray[np.float32],
    manifest: Manifest,
    rng: np.random.Generator,
) -> None:
    box = manifest.box
    with mrcfile.new_mmap(path, shape, mrc_mode=2) as file:
        for z in range(0, shape[0], box):
            slab = rng.standard_normal((min(box, shape[0] - z), *shape[1:]), np.float32)
            for y in range(0, shape[1] - box + 1, box):
                for x in range(0, shape[2] - box + 1, box):
                    particle = probe[rng.integers(len(probe)), : len(slab)]
                    slab[:, y : y + box, x : x + box] += particle / particle.std()
            file.data[z : z + box] = slab
        file.voxel_size = manifest.voxel_spacing


class Peaks:
    """Most memory of its own, in MiB, that a client and its largest worker had."""

    def __init__(self) -> None:
        self.client = self.worker = 0.0

    def look(self, client: psutil.Process) -> None:
        """What they have now; pages of files that are mapped are not theirs."""
        self.client = max(self.client, _own(client))
        self.worker = max([self.worker, *map(_own, workers(client))])


def _own(process: psutil.Process) -> float:
    try:
        memory = process.memory_info()
        return float(memory.rss - memory.shared) / 2**20
    except psutil.Error:
        return 0.0


def workers(client: psutil.Process) -> list[psutil.Process]:
    """Of Dask; those that begin just now may be left out."""
    try:
        children = client.children()
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    except psutil.Error:
        return []


def looks(process: "subprocess.Popen[bytes]") -> Iterator[psutil.Process]:
    """Again and again until it ends; raises RuntimeError if it ends badly."""
    client = psutil.Process(process.pid)
    while process.poll() is None:
        yield client
        time.sleep(_PAUSE)
    check(process)


def check(process: "subprocess.Popen[bytes]") -> None:
    """Raises RuntimeError with its words unless it ended well."""
    _, said = process.communicate()
    if process.returncode:
        raise RuntimeError(f"exit status {process.returncode}: {said.decode()[-2000:]}")


@contextmanager
def on_cores(cores: set[int]) -> Iterator[None]:
    """What starts within the block computes on these."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
