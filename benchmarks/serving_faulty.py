"""The service with an engine that fails when it is told to.

    python -P benchmarks/serving_faulty.py FOLDER [flags of the entry point serve]

A file `once` in FOLDER is eaten by the next call, which fails; while a file is there that has the
number of a version for its name, every call of that version's engine does.
"""

import sys
from pathlib import Path
from typing import Any

from tomodistill.inference import openvino_engine
from tomodistill.inference.engines import Array

ONCE = "once"


def fail_as_told(folder: Path) -> None:
    """Put a failing engine in OpenVINO's place."""

    class Engine(openvino_engine.OpenVINOEngine):
        def __init__(self, path: Path, *more: Any) -> None:
            super().__init__(path, *more)
            self._version = path.parent.name.partition("-")[0]  # as the cache calls its folders

        def logits(self, volumes: Array) -> Array:
            if _eaten(folder / ONCE) or (folder / self._version).exists():
                raise RuntimeError("told to fail")
            return super().logits(volumes)

    openvino_engine.OpenVINOEngine = Engine  # type: ignore[misc]


def _eaten(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


if __name__ == "__main__":
    from entrypoints import serve  # not for those who want a name: `serving` is a script there

    fail_as_told(Path(sys.argv[1]))
    serve.main(sys.argv[2:])
