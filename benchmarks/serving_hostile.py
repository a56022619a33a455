"""Strangers' input: does the service stand all of it, and does a bystander notice?

    PYTHONPATH=src:. python benchmarks/serving_hostile.py
    PYTHONPATH=src:. python benchmarks/serving_hostile.py --cases 100 --only JSON queries

The service runs in a process of its own. Family after family of requests, forged, broken or much
work, is sent to it; each has one answer, none is a 500, and memory stays within its bound. All the
time a bystander asks for what it may, and each of its answers is held to the right numbers.
"""

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from serving_clients import Load, Questions, asking
from serving_hostile_bombs import compressed_cases, json_cases
from serving_hostile_files import mrc_cases, npy_cases
from serving_hostile_http import framing_cases, header_cases
from serving_hostile_queries import query_cases
from serving_hostile_results import Outcome, table, write
from serving_hostile_schema import play_schema
from serving_hostile_tensors import tensor_cases
from serving_hostile_wire import BODY_SECONDS, MAX_BODY_MIB, Played, play_all, play_drawn
from serving_processes import Server

from tests.processes import free_port
from tests.serving.folder_registry import FolderRegistry
from tests.versions import MANIFEST, PASSED, random_volumes, write_openvino_version
from tomodistill.inference.classifier import Classifier
from tomodistill.machine import cores

_VOLUMES = 6  # of the bystander
_AT_ONCE = 4  # of those cases that are much work, or wait long
_TIMES_BODY = 30  # MiB for each of a body, that parsing JSON may need in each of its threads
_OVERHEAD = 128  # MiB: what allocators keep
_LIBRARIES = ("schemathesis", "hypothesis", "uvicorn", "httptools", "fastapi", "numpy", "mrcfile")

Family = Callable[[], list[Played]]


def parse() -> argparse.Namespace:
    """Flags."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/serving"))
    parser.add_argument("--cases", type=int, default=3000, help="drawn, of each kind of body")
    parser.add_argument("--examples", type=int, default=700, help="of each described operation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="families")
    return parser.parse_args()


def main() -> None:
    """Play, print and write; the exit status is 1 if anything was not as it should be."""
    given = parse()
    outcomes: list[Outcome] = []
    with TemporaryDirectory() as folder, served(Path(folder)) as (service, questions):
        start = service.facts().mib
        most = start + _TIMES_BODY * MAX_BODY_MIB * cores() + _OVERHEAD
        about = _about(given, most)
        with asking(service.port, questions, clients=1, folder=Path(folder)) as bystander:
            for name, family in families(given, service, questions).items():
                if not given.only or name in given.only:
                    outcomes.append(outcome(name, family, service, bystander, most=most))
                    write(given.out, about, outcomes)
                    print(table(outcomes[-1:]).markdown(), *outcomes[-1].problems, sep="\n")
    sys.exit(any(of.problems for of in outcomes))


@contextmanager
def served(folder: Path) -> Iterator[tuple[Server, Questions]]:
    """The service with a new version, and what a bystander asks of it."""
    version = write_openvino_version(folder / "version", seed=0, float32=PASSED)
    registry = FolderRegistry(folder / "registry")
    registry.publish("1", version)
    registry.promote("1")
    volumes = random_volumes(_VOLUMES, seed=7)
    right = {1: Classifier.load(version).probabilities(volumes)}
    port, script = free_port(), Path(__file__).with_name("serving_hostile_service.py")
    settings = [registry.root, port, MAX_BODY_MIB, BODY_SECONDS]
    command = [sys.executable, "-P", *map(str, (script, *settings))]
    service = Server(command, port=port, health="/health/ready", folder=folder / "service")
    try:
        service.start()
        yield service, Questions(volumes, MANIFEST.class_names, right)
    finally:
        service.end(signal.SIGTERM)


def families(given: argparse.Namespace, service: Server, questions: Questions) -> dict[str, Family]:
    """Name -> what sends them all."""
    port, volume = service.port, questions.volumes[0]
    drawn = partial(play_drawn, port, count=given.cases, start=given.seed)
    listed = partial(play_all, port)
    return {
        "description": lambda: play_schema(
            service.url,
            volume,
            examples=given.examples,
            start=given.seed,
        ),
        "tensors": lambda: drawn(tensor_cases(volume)),
        "npy": lambda: drawn(npy_cases(volume)),
        "mrc": lambda: drawn(mrc_cases(volume)),
        "compressed": lambda: listed(compressed_cases(volume), at_once=_AT_ONCE),
        "JSON": lambda: listed(json_cases(), at_once=_AT_ONCE),
        "framing": lambda: listed(framing_cases(volume), at_once=_AT_ONCE),
        "headers": lambda: listed(header_cases(volume), at_once=1),
        "queries": lambda: listed(query_cases(volume), at_once=1),
    }


def outcome(name: str, family: Family, service: Server, bystander: Load, *, most: float) -> Outcome:
    """Play one family; `most` MiB may be held at its peak."""
    log = service.folder / "log"
    service.forget_peak()
    before, asked, logged = service.facts().mib, len(bystander), log.stat().st_size
    played = family()
    return Outcome.of(
        name,
        played,
        bystander.records(asked),
        before=before,
        peak=service.facts().peak,
        log=log.read_bytes()[logged:].decode(),
        most=most,
    )


def _about(given: argparse.Namespace, most: float) -> dict[str, Any]:
    return {
        "command": shlex.join(["python", *sys.argv]),
        "seed": given.seed,
        "cores": cores(),
        "versions": {name: version(name) for name in _LIBRARIES},
        "max_body_mib": MAX_BODY_MIB,
        "most_mib": most,
        "bound": f"what it has at its start, {_TIMES_BODY} times a body in each of {cores()} "
        f"threads that parse, {_OVERHEAD} MiB",
    }


if __name__ == "__main__":
    main()
