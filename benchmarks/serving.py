"""How fast the service answers, beside `mlflow models serve`, LitServe and the bare classifier.

    PYTHONPATH=src:. python benchmarks/serving.py --out benchmarks/results/serving --version FOLDER
    ... --litserve-python ENVIRONMENT/bin/python  # where LitServe is installed

Clients in a closed loop, all in this process, ask every server in turn while the others sleep; once
in each round, every server on the same volumes, answers compared with the Classifier's. At
saturation the bare classifier and the bare engine loop in a process of their own, beside the same
clients driving a server that reads and discards: flat out, and as fast as our service answered.

Without `--version` a student by name, with random weights, takes its place. What was measured lies
in `--out` as JSON lines, and the tables are written after every round.
"""

import argparse
import json
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version as version_of
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from serving_bare import CLASSIFIER, ENGINE
from serving_rounds import Questions, Rounds
from serving_servers import Bare, random_student, running
from serving_tables import ABOUT, TURNS, write_tables
from serving_turns import Cell

from tomodistill.inference.classifier import Classifier
from tomodistill.machine import cores

LITSERVE = "4/0.002/1,32/0.01/2"  # requests/seconds/workers: what was best in some cell
_LIBRARIES = ("mlflow", "openvino", "uvicorn", "fastapi", "numpy")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Flags."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for results")
    parser.add_argument("--version", type=Path, help="folder of a student")
    parser.add_argument("--network", default="f2", help="by name, without --version")
    parser.add_argument("--box", type=int, default=40, help="voxels, without --version")
    parser.add_argument("--clients", default="1,8,32")
    parser.add_argument("--batches", default="1,8,32", help="volumes in a request")
    parser.add_argument("--without-mlflow", action="store_true", help="it takes most of the time")
    parser.add_argument("--litserve-python", default="", help="of its environment; none: without")
    parser.add_argument("--litserve", default=LITSERVE, help="requests/seconds/workers of each")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn")
    parser.add_argument("--rounds", type=int, default=5, help="at most")
    parser.add_argument("--minutes", type=float, default=11.0, help="that no round shall pass")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> None:
    """Measure, print and write."""
    given, start = parse(arguments), time.monotonic()
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / TURNS).unlink(missing_ok=True)
    clients, batches = ([int(of) for of in f.split(",")] for f in (given.clients, given.batches))
    litserves = dict.fromkeys(given.litserve.split(","), given.litserve_python)
    with TemporaryDirectory() as work:
        version = given.version or random_student(Path(work), given.network, given.box)
        classifier = Classifier.load(version)
        (given.out / ABOUT).write_text(json.dumps(about(classifier, arguments), indent=1) + "\n")
        questions = Questions(classifier, batches)
        bare = {what: Bare(version, what) for what in (CLASSIFIER, ENGINE)}
        try:
            with running(
                version,
                Path(work),
                with_mlflow=not given.without_mlflow,
                litserves=litserves if given.litserve_python else {},
            ) as servers:
                cells = [Cell(*of) for of in product(clients, batches)]
                rounds = Rounds(servers, bare, questions, cells, given.seconds)
                run(rounds, given.out, given.rounds, deadline=start + 60 * given.minutes)
        finally:
            for loop in bare.values():
                loop.end()
    print(write_tables(given.out))


def about(classifier: Classifier, arguments: Sequence[str]) -> dict[str, object]:
    """What the numbers are of."""
    named = [Path(word).name if "/" in word and Path(word).exists() else word for word in arguments]
    return {
        "command": shlex.join(["python", "benchmarks/serving.py", *named]),
        "machine": classifier.engine.device,
        "cores": cores(),
        "versions": {name: version_of(name) for name in _LIBRARIES}
        | {"Python": platform.python_version()},
        "student": classifier.manifest.network,
        "box": classifier.manifest.box,
        "classes": len(classifier.manifest.class_names),
        "engine": f"{classifier.engine.name}, {classifier.engine.precision}",
        "seed": 0,
    }


def run(rounds: Rounds, out: Path, most: int, *, deadline: float) -> None:
    """Rounds, of which none begins that would likely end after `deadline`, but the first."""
    longest = 0.0
    for number in range(most):
        begun = time.monotonic()
        if number and begun + longest > deadline:
            return
        with (out / TURNS).open("a") as file:
            for of in rounds.turns(number):
                file.write(of.line())
                file.flush()
        longest = max(longest, time.monotonic() - begun)
        print(f"round {number + 1} of at most {most}", flush=True)
        write_tables(out)


if __name__ == "__main__":
    main(sys.argv[1:])
