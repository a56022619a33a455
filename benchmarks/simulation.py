"""Subtomograms per second of both recipes, on one core and on all of them.

    PYTHONPATH=src python benchmarks/simulation.py               # minutes
    PYTHONPATH=src python benchmarks/simulation.py --set 23000   # and a whole set on disk

40³ voxels at 9.2 Å, the complexes of the paper's group, 41 tilts. Clean boxes, and boxes with
everything in them. The rounds of all cases take turns; the control is a fixed amount of Fourier
transforms beside each, so that two machines, or a busy and a quiet hour, can be told apart.
"""

import argparse
import json
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from scipy import fft
from threadpoolctl import threadpool_limits

from tomodistill.machine import cores
from tomodistill.simulation.catalogue import PAPER_GROUP
from tomodistill.simulation.config import Range, SimulationConfig
from tomodistill.simulation.plan import PlanItem, class_names
from tomodistill.simulation.simulate import maker
from tomodistill.simulation.structures import Structure, load_structures
from tomodistill.subtomograms.simulated import write_simulated_set

DIRT = {"neighbours": 0.3, "membranes": 0.1, "gold": 0.05, "off_centre": 0.1, "none": 1.0}
ROUNDS, OF_ROUND = 7, 66  # three of each class
CORES = cores()


def config(recipe: str, **changes: object) -> SimulationConfig:
    """40³ voxels at 9.2 Å with clean boxes, if nothing else is said."""
    base = {"box": 40, "voxel_spacing": 9.2, "snr": Range(0.05, 0.05), "recipe": recipe}
    return SimulationConfig(**{**base, **changes})  # type: ignore[arg-type]


def on_one_core(recipe: str, structures: tuple[Structure, ...], **dirt: float) -> Callable[[], int]:
    """Makes a round of items in this process."""
    chosen = config(recipe, **dirt)
    make, classes = maker(chosen, structures)(), len(class_names(chosen, structures))
    items = [PlanItem(i % classes, "train", i) for i in range(OF_ROUND)]
    return lambda: len([make(item) for item in items])


def transforms() -> int:
    """The control: 300 transforms of 64³ voxels there and back."""
    volume = np.ones((64, 64, 64), np.float32)
    for _ in range(300):
        volume = fft.irfftn(fft.rfftn(volume), volume.shape)
    return 300


def rates(cases: dict[str, Callable[[], int]]) -> dict[str, list[float]]:
    """Items per second of every case in every round, the cases taking turns."""
    measured: dict[str, list[float]] = {name: [] for name in cases}
    with threadpool_limits(1):
        for _ in range(ROUNDS):
            for name, case in cases.items():
                start = time.perf_counter()
                count = case()
                measured[name].append(count / (time.perf_counter() - start))
    return measured


def whole_set(items: int, structures: tuple[Structure, ...], recipe: str) -> dict[str, float]:
    """Seconds and memory for a set of that many on all cores, streamed to disk.

    To be called in a process of its own: the largest memory a process ever had never falls.
    """
    chosen = config(recipe, items=items)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        made = write_simulated_set(Path(folder, "set.h5"), chosen, structures, workers=CORES)
        seconds = time.perf_counter() - start
    mib = {
        f"peak_mib_{who}": resource.getrusage(which).ru_maxrss / 1024
        for who, which in (
            ("parent", resource.RUSAGE_SELF),
            ("largest_worker", resource.RUSAGE_CHILDREN),
        )
    }
    count = len(made.ids)
    return {"items": count, "seconds": seconds, "per_second": count / seconds, **mib}


def main() -> None:
    """Measure, print, and write JSON where --out says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", type=int, default=0, help="of a whole set; tilt_series: a tenth")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    structures = load_structures("builtin", classes=",".join(PAPER_GROUP), voxel_spacing=9.2)
    cases = {"control: transforms of 64³": transforms}
    for recipe in ("convolution", "tilt_series"):
        cases[f"{recipe}, clean"] = on_one_core(recipe, structures)
        cases[f"{recipe}, dirty"] = on_one_core(recipe, structures, **DIRT)
    result: dict[str, object] = {"machine": platform.processor() or platform.machine()}
    result |= {"cores": CORES, "python": platform.python_version(), "numpy": np.__version__}
    print(f"{'on one core':32s} median  (quartiles) per second")
    for name, values in rates(cases).items():
        low, middle, high = statistics.quantiles(values, n=4)
        print(f"{name:32s} {middle:6.1f}  ({low:.1f} to {high:.1f})")
        result[name] = {"median": middle, "quartiles": [low, high]}
    if given.set:
        for recipe, items in (("convolution", given.set), ("tilt_series", given.set // 10)):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
                made = alone.submit(whole_set, items, structures, recipe).result()
            print(f"{recipe} on {CORES} cores:", {k: round(v, 1) for k, v in made.items()})
            result[f"{recipe}, whole set"] = made
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
