"""How fast networks classify here, beside the teacher, what users do today, and the machine's peak.

    PYTHONPATH=src python benchmarks/inference.py --out benchmarks/results/inference
    PYTHONPATH=src python benchmarks/inference.py --out results --versions FOLDER FOLDER  # trained

Networks by name have random weights, on which cost does not depend; a version folder takes the
place of the network of its name. Every network, engine, precision and batch takes its turn once in
each round, and so do matrix products in every library at hand; all are kept relative to the teacher
(OpenVINO, float32, batch 16), which is timed again every few seconds. Beside them, in fresh
processes: the time to the first answer, and peak memory, of the last network.

On a machine with a GPU (Keras on TensorFlow or JAX) the engines are Keras's, and copies to the GPU
join the rounds. `--million` streams a million volumes through the last network, from a ring of
10,000. What was timed lies in `--out` as JSON lines, and the tables are written after every round.
"""

import argparse
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from inference_cases import (
    ENGINE,
    Opened,
    cases,
    noise,
    on_gpu,
    open_version,
    precisions,
    random_version,
)
from inference_processes import Way, fresh_processes
from inference_products import SIZES, copies, products
from inference_results import ABOUT, PROCESSES, STREAMS, TIMINGS, of_teacher
from inference_streams import streams
from inference_tables import write_results
from inference_turns import Case, take_turns

from tomodistill.errors import InputError
from tomodistill.inference import openvino_engine
from tomodistill.inference.engines import REFERENCE
from tomodistill.inference.version import Manifest, read_manifest
from tomodistill.machine import cores

NETWORKS = "dsrf3d_v2,s1,s2,s3,f2,f1"
MILLION, RING, BLOCK = 1_000_000, 10_000, 1024  # volumes


def parse() -> argparse.Namespace:
    """Flags."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for results")
    parser.add_argument("--versions", type=Path, nargs="*", default=[], help="of the same box")
    parser.add_argument("--networks", default=NETWORKS, help="by name, a teacher among them")
    parser.add_argument("--box", type=int, default=40, help="voxels")
    parser.add_argument("--classes", type=int, default=23, help="of networks by name")
    parser.add_argument("--batches", default="1,16,64")
    parser.add_argument("--rounds", type=int, default=9, help="at most")
    parser.add_argument("--minutes", type=float, default=10.0, help="after which no round begins")
    parser.add_argument("--fresh", type=int, default=5, help="cold starts of each kind; 0: none")
    parser.add_argument("--volumes", type=int, default=2000, help="for the peak of memory")
    parser.add_argument("--million", action="store_true", help="stream a million volumes")
    return parser.parse_args()


def main() -> None:
    """Time, print and write."""
    given, start = parse(), time.monotonic()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in (TIMINGS, PROCESSES, STREAMS):
        (given.out / name).unlink(missing_ok=True)
    batches = [int(batch) for batch in given.batches.split(",")]
    with TemporaryDirectory() as work:
        folders = version_folders(given, Path(work))
        opened = {name: open_version(folder) for name, folder in folders.items()}
        (given.out / ABOUT).write_text(as_line(about(given, opened)))
        volumes = noise(max(batches), given.box)
        timed = [case for of in opened.values() for case in cases(of, volumes, batches)]
        last = list(folders)[-1]
        if given.fresh:
            ways = ways_of(opened[last].manifest)
            fresh = fresh_processes(folders[last], ways, rounds=given.fresh, count=given.volumes)
            append(given.out / PROCESSES, map(as_line, fresh))
        run(
            given.out,
            [*timed, *limits()],
            teacher=teacher_of(opened),
            rounds=given.rounds,
            deadline=start + 60 * given.minutes,
        )
    if given.million:
        million = streams(opened[last], noise(RING, given.box), total=MILLION, block=BLOCK)
        append(given.out / STREAMS, map(as_line, million))
    print(write_results(given.out))


def version_folders(given: argparse.Namespace, work: Path) -> dict[str, Path]:
    """Network -> its version: given, or made now with random weights."""
    trained = {}
    for folder in given.versions:
        manifest = read_manifest(folder)
        trained[manifest.network] = folder
        if manifest.box != given.box:
            raise InputError(
                expected=f"versions for boxes of {given.box} voxels",
                found=f"{manifest.box} in {folder}",
                todo="Set --box to that of all versions.",
            )
    names = dict.fromkeys((*given.networks.split(","), *trained))
    return {
        name: trained.get(name)
        or random_version(work / name, name, box=given.box, classes=given.classes)
        for name in names
    }


def about(given: argparse.Namespace, opened: Mapping[str, Opened]) -> dict[str, object]:
    """What the numbers are of. Raises InputError without a teacher, to which all is relative."""
    engines = [classifier.engine for of in opened.values() for classifier in of.classifiers]
    libraries = {
        f"Keras {keras.__version__} on": keras.backend.backend(),
        "OpenVINO": version("openvino") if openvino_engine.installed() else "not installed",
        "NumPy": np.__version__,
        "Python": platform.python_version(),
    }
    trained = [read_manifest(folder).network for folder in given.versions]
    return {
        "command": shlex.join(["python", *sys.argv]),
        "machine": ", ".join(dict.fromkeys(engine.device for engine in engines)),
        "cores": cores(),
        "versions": ", ".join(map(" ".join, libraries.items())),
        "box": given.box,
        "trained": trained,
        "teacher": teacher_of(opened),
        "gflop": {name: of.gflop for name, of in opened.items()},
        "bytes": {name: of.bytes for name, of in opened.items()},
        "gates": {name: of.manifest.engines for name, of in opened.items()},
    }


def teacher_of(opened: Mapping[str, Opened]) -> str:
    teachers = [name for name, of in opened.items() if of.manifest.role == "teacher"]
    if not teachers:
        raise InputError(
            expected="a teacher, to which all is relative",
            found=", ".join(opened),
            todo="Add one to --networks, as dsrf3d_v2.",
        )
    return teachers[0]


def ways_of(manifest: Manifest) -> list[Way]:
    """How fresh processes open a version: all that its gates let through, and Keras."""
    measured = manifest.engines.get("openvino", {})
    passed = [of for of in precisions() if measured.get(of, {}).get("passed")]
    return [*(Way("openvino", of) for of in passed), Way("keras", REFERENCE)]


def limits() -> list[Case]:
    """What no network on this device can beat."""
    if on_gpu():
        return [*products(SIZES["gpu"], precisions(), gpu=True), copies()]
    return list(products(SIZES["cpu"], precisions(), gpu=False))


def run(out: Path, timed: Sequence[Case], *, teacher: str, rounds: int, deadline: float) -> None:
    """Take turns; each is written at once, the tables after every round."""
    of = {case.key: case for case in timed}
    reference = of[of_teacher(of, teacher, ENGINE)]
    turns = take_turns(timed, reference, rounds=rounds, deadline=deadline)
    for number, of_round in groupby(turns, lambda turn: turn.round):
        append(out / TIMINGS, (turn.line() for turn in of_round))
        print(f"round {number + 1} of at most {rounds}", flush=True)
        write_results(out)


def as_line(measured: object) -> str:
    """As JSON."""
    return json.dumps(measured) + "\n"


def append(path: Path, lines: Iterable[str]) -> None:
    """Each as soon as it is there."""
    with path.open("a") as file:
        for line in lines:
            file.write(line)
            file.flush()


if __name__ == "__main__":
    main()
