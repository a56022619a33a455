"""Bulk classification of one tomogram: how fast, in how much memory, and through which faults.

    PYTHONPATH=src:. python -P benchmarks/bulk.py speed --version FOLDER
    PYTHONPATH=src:. python -P benchmarks/bulk.py speed --network s3 --out FOLDER  # random weights
    PYTHONPATH=src:. python -P benchmarks/bulk.py faults --version FOLDER

`speed` compares, in rounds, the engine alone on prepared volumes, the classifier on volumes in
memory, and whole shards from the tomogram to their files: in this process, by one worker on one
core, by one on all cores and by two; then `predict` as a whole, of a tenth of the particles and of
all. `faults` kills two workers in turn, and the client, so many times, and damages shards; all
results are held bit by bit against those of a job that nothing disturbed.
"""

import argparse
import json
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from bulk_faults import Faults, Played, faults_table, sound
from bulk_speed import memory_table, speed_table, turns, whole
from bulk_stage import SHAPE, Stage, stage

from tomodistill.inference.classifier import Classifier
from tomodistill.machine import cores

_BOX, _CLASSES = 40, 23  # of networks with random weights

_MEANING = {
    "speed": "Medians (and quartiles) over rounds in which all ways take turns; ratios are formed "
    "within a round. Then the whole of `predict`, and the most memory of its own that a process "
    "had.",
    "faults": "Results are held bit by bit against those of a job that nothing disturbed.",
}


def parse() -> argparse.Namespace:
    """Flags."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("speed", "faults"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/bulk"))
    parser.add_argument("--version", type=Path, help="folder of a model version")
    parser.add_argument("--network", default="s3", help="with random weights, without --version")
    parser.add_argument("--particles", type=int, default=100_000)
    parser.add_argument("--shape", default=",".join(map(str, SHAPE)), help="of the tomogram")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--times", type=int, default=20, help="of each fault")
    parser.add_argument("--turn", type=float, default=6.0, help="seconds")
    parser.add_argument("--work", type=Path, help="folder for gigabytes; default: a temporary one")
    return parser.parse_args()


def main() -> None:
    """Measure, print and write; the exit status is 1 if a fault did harm."""
    given = parse()
    given.out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=given.work) as work:
        folder = (given.version or _random(Path(work), given.network)).absolute()
        shape = tuple(map(int, given.shape.split(",")))
        on_stage = stage(Path(work), folder, particles=given.particles, shape=shape)
        harmed = (_speed if given.what == "speed" else _faults)(given, on_stage)
    sys.exit(harmed)


def _random(work: Path, network: str) -> Path:
    from inference_cases import random_version

    return random_version(work / network, network, box=_BOX, classes=_CLASSES)


def _speed(given: argparse.Namespace, stage: Stage) -> bool:
    taken = list(turns(stage, particles=given.particles, rounds=given.rounds, turn=given.turn))
    sizes = [whole(stage, count) for count in (given.particles // 10, given.particles)]
    _write(
        given.out,
        "speed",
        _about(given, stage),
        [speed_table(taken), memory_table(sizes)],
        turns=[asdict(of) for of in taken],
        whole=[asdict(of) for of in sizes],
    )
    print((given.out / "speed.md").read_text())
    return False


def _faults(given: argparse.Namespace, stage: Stage) -> bool:
    played: list[Played] = []
    for of in Faults(stage, particles=given.particles, times=given.times).played():
        played.append(of)
        _write(
            given.out,
            "faults",
            _about(given, stage),
            [faults_table(played)],
            faults=[asdict(each) for each in played],
        )
    print((given.out / "faults.md").read_text())
    return not all(map(sound, played))


def _about(given: argparse.Namespace, stage: Stage) -> dict[str, object]:
    engine = Classifier.load(stage.version, engine="openvino").engine
    words = (Path(word).name if word.startswith("/") else word for word in sys.argv)
    versions = {
        "OpenVINO": version("openvino"),
        "distributed": version("distributed"),
        "NumPy": np.__version__,
        "Python": platform.python_version(),
    }
    return {
        "command": shlex.join(["python", *words]),
        "machine": engine.device,
        "cores": cores(),
        "versions": ", ".join(map(" ".join, versions.items())),
        "network": stage.manifest.network,
        "precision": engine.precision,
        "box": stage.manifest.box,
        "particles": given.particles,
        "tomogram": f"{given.shape} voxels, float32",
    }


def _write(
    out: Path, name: str, about: dict[str, object], tables: Sequence[object], **measured: object
) -> None:
    (out / f"{name}.json").write_text(json.dumps({**about, **measured}, indent=1) + "\n")
    words = (
        f"`{about['command']}`\n\n{about['machine']}, {about['cores']} cores; {about['versions']}. "
        f"Network {about['network']} in {about['precision']}, boxes of {about['box']} voxels, "
        f"{about['particles']:,} particles in one tomogram ({about['tomogram']}). {_MEANING[name]}"
    )
    text = "\n\n".join([words, *(table.markdown() for table in tables)])
    (out / f"{name}.md").write_text(text + "\n")


if __name__ == "__main__":
    main()
