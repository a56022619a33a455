"""What bulk classification costs here, step by step, and what that says of more than this machine.

    PYTHONPATH=src:benchmarks python benchmarks/bulk_costs.py --versions FOLDER --networks s3
    PYTHONPATH=src:benchmarks python benchmarks/bulk_costs.py --only tables     # of what stands

Networks by name have random weights, on which cost does not depend. `steps` are timed on one core
(`bulk_costs_parts`), `lists` with a million particles, `jobs` whole; then `bulk_costs_tables` holds
jobs against the model of `bulk_costs_model`, and goes on to 10^8.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from bulk_costs_jobs import COLD, boxed, cropped, run_rounds, stack, uncached
from bulk_costs_lists import MILLION, handing_out, steps
from bulk_costs_parts import (
    SHAPE,
    box_seconds,
    cold_boxes,
    cold_crops,
    cropping_seconds,
    network_seconds,
    one_core,
    shard_seconds,
    start_seconds,
    write_noise,
)
from bulk_costs_tables import write_tables
from threadpoolctl import threadpool_limits

from tomodistill.bulk.cluster import ClusterConfig, open_backend
from tomodistill.bulk.shard import compute_shard
from tomodistill.inference.classifier import Classifier
from tomodistill.inference.version import read_manifest

DENSITIES = (1, 10, 100, 300, 1000)  # particles of a tomogram
OF_JOB = {"f2": 24_576, "s3": 4096}  # particles


def main() -> None:
    """Measure what `--only` says, and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--versions", type=Path, nargs="*", default=[])
    parser.add_argument("--networks", nargs="*", default=[], help="with random weights")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/bulk"))
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--only", choices=[*MEASURED, "tables"], nargs="*", default=[*MEASURED])
    given = parser.parse_args()
    path = given.out / "costs.json"
    given.out.mkdir(parents=True, exist_ok=True)
    known = json.loads(path.read_text()) if path.is_file() else {}
    with tempfile.TemporaryDirectory(dir=given.scratch) as scratch:
        made = [made_up(Path(scratch), name) for name in given.networks]
        folders = [folder.absolute() for folder in (*given.versions, *made)]
        versions = {read_manifest(folder).network: folder for folder in folders}
        for name in given.only:
            if measure := MEASURED.get(name):
                known[name] = dict(measure(Path(scratch), versions))
                path.write_text(json.dumps({**known, "machine": machine()}, indent=1) + "\n")
    write_tables(given.out)


def made_up(scratch: Path, network: str) -> Path:
    """A version of that network, in a process of its own: this one shall stay small."""
    command = "import sys, inference_cases as of; from pathlib import Path\n"
    command += f"of.random_version(Path(sys.argv[1]), {network!r}, box=40, classes=23)"
    subprocess.run([sys.executable, "-c", command, str(scratch / network)], check=True)
    return scratch / network


def machine() -> dict[str, Any]:
    """Where this was measured."""
    read_ahead = [p.read_text().strip() for p in Path("/sys/block").glob("vd*/queue/read_ahead_kb")]
    return {
        "cores": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "read_ahead_kb": read_ahead,
    }


def measured_steps(scratch: Path, versions: dict[str, Path]) -> Iterator[tuple[str, Any]]:
    """One core, and no other thread."""
    floats = write_noise(scratch / "float32.npy", SHAPE, "float32")
    shorts = write_noise(scratch / "int16.npy", SHAPE, "int16")
    with one_core(), threadpool_limits(1):
        yield "crop", dict(crops(floats, shorts))
        yield "box", {kind: box_seconds(stack(scratch, kind)) for kind in ("float32", "float16")}
        yield "networks", {name: dict(network(folder)) for name, folder in versions.items()}
        yield "shard", shard_seconds(scratch, particles=2048, classes=23)
        yield "start", {name: start_seconds(folder) for name, folder in versions.items()}
    yield "cold boxes", {k: cold_boxes(stack(scratch, k)) for k in ("float32", "float16")}
    yield "cold crops", {str(n): cold_crops(floats, 40, n) for n in DENSITIES}


def crops(floats: Path, shorts: Path) -> Iterator[tuple[str, float]]:
    """Of one box, by kind."""
    yield "float32", cropping_seconds(floats, 40, subvoxel=False)
    yield "int16", cropping_seconds(shorts, 40, subvoxel=False)
    yield "float32 subvoxel", cropping_seconds(floats, 40, subvoxel=True)
    yield "float32 80", cropping_seconds(floats, 80, subvoxel=False)


def network(folder: Path) -> Iterator[tuple[str, Any]]:
    """Of one volume."""
    model = Classifier.load(folder)
    yield "precision", model.engine.precision
    yield from network_seconds(model, model.manifest.box).items()
    yield "prepare 80", network_seconds(model, 2 * model.manifest.box)["prepare"]


def measured_lists(scratch: Path, versions: dict[str, Path]) -> Iterator[tuple[str, Any]]:
    """A million particles of one tomogram; shards are made up."""
    folder = scratch / "job"
    version = next(iter(versions.values()))
    for name, taken in steps(folder, cropped(scratch, MILLION, version), version):
        each = {of: taken[of] / MILLION for of in ("seconds", "wall")}
        yield name, {**each, "mib": taken["mib"]}
    cluster = ClusterConfig(workers="1")
    backend = partial(open_backend, folder, compute_shard, cluster)
    yield "handing out", handing_out(folder, backend)


def measured_jobs(scratch: Path, versions: dict[str, Path]) -> Iterator[tuple[str, Any]]:
    """Every network, boxes and tomogram, on one worker and on two; then what a disk must give."""
    for name, folder in versions.items():
        for kind, config in (("tomogram", cropped), ("boxes", boxed)):
            asked = config(scratch, OF_JOB[name], folder)
            for workers in (1, 2):
                title = f"{name}, {kind}, {workers}"
                yield title, run_rounds(scratch / title, asked, folder, workers=workers)
    name, folder = next(iter(versions.items()))
    title, (asked, files) = f"{name}, {COLD}, 1", uncached(scratch, folder)
    yield title, run_rounds(scratch / title, asked, folder, workers=1, cold=files)


MEASURED: dict[str, Callable[[Path, dict[str, Path]], Iterator[tuple[str, Any]]]] = {
    "steps": measured_steps,
    "lists": measured_lists,
    "jobs": measured_jobs,
}

if __name__ == "__main__":
    main()
