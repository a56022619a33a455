"""Fresh processes: the time to a classifier's first answer, and its peak of memory."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tomodistill.inference.version import PROBE

SRC = Path(__file__).resolve().parents[1] / "src"
BLOCK = 64  # volumes in memory at a time
CONTROL = "control: Python alone"

_COLD = """
from pathlib import Path
import numpy as np
from tomodistill.inference.classifier import Classifier
classifier = Classifier.load(Path({folder!r}), engine={engine!r}, precision={precision!r})
classifier.probabilities(np.load({volumes!r}, mmap_mode="r")[:1])
print("answered", flush=True)
"""
# A mapping of the whole file would count every page that was read of it. The kernel's own peak
# (VmHWM) is this program's alone; ru_maxrss begins with that of the process that started it.
_MEMORY = """
from pathlib import Path
import numpy as np
from tomodistill.inference.classifier import Classifier
classifier = Classifier.load(Path({folder!r}), engine={engine!r}, precision={precision!r})
for start in range(0, {count}, {block}):
    classifier.probabilities(np.array(np.load({volumes!r}, mmap_mode="r")[start : start + {block}]))
status = Path("/proc/self/status").read_text()
print(status.split("VmHWM:")[1].split()[0])
"""


class Way(NamedTuple):
    """How a version is opened."""

    engine: str
    precision: str


def fresh_processes(
    folder: Path, ways: Sequence[Way], *, rounds: int, count: int
) -> Iterator[dict[str, Any]]:
    """Of a version folder: seconds to the first answer, taking turns, and peak memory in bytes.

    Memory is that of `count` stored volumes, in blocks from a memory-mapped file.
    """
    with tempfile.TemporaryDirectory() as work:
        volumes = _write_volumes(Path(work, "volumes.npy"), folder, count)
        for number in range(rounds):
            yield _line(CONTROL, "", seconds=_seconds("print()"), round=number)
            for way in ways:
                code = _code(_COLD, folder, way, volumes)
                yield _line(*way, seconds=_seconds(code), round=number)
        for way in ways:
            kilobytes = int(_run(_code(_MEMORY, folder, way, volumes, count)))
            yield _line(*way, bytes=kilobytes * 1024, volumes=count)


def _write_volumes(path: Path, folder: Path, count: int) -> Path:
    """`count` volumes of noise, of the version's box."""
    box = np.load(folder / PROBE, mmap_mode="r").shape[-1]
    shape, rng = (count, box, box, box), np.random.default_rng(0)
    volumes = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    for start in range(0, count, BLOCK):
        rng.standard_normal(out=volumes[start : start + BLOCK], dtype=np.float32)
    volumes.flush()
    return path


def _line(engine: str, precision: str, **measured: float) -> dict[str, Any]:
    return {"engine": engine, "precision": precision, **measured}


def _code(template: str, folder: Path, way: Way, volumes: Path, count: int = 0) -> str:
    names = {"folder": str(folder), "volumes": str(volumes), "count": count, "block": BLOCK}
    return template.format(**names, **way._asdict())


def _seconds(code: str) -> float:
    """From the start of an interpreter to its first line."""
    start = time.perf_counter()
    with _interpreter(code) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - start
    if not line:
        raise RuntimeError(f"no answer, exit status {process.returncode}:\n{code}")
    return seconds


def _run(code: str) -> str:
    with _interpreter(code) as process:
        said, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"exit status {process.returncode}:\n{code}")
    return said


def _interpreter(code: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
    )
