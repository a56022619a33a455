"""A registry of its own, in the working directory, with one version in production.

python serving_store.py VERSION
"""

import shutil
import sys
from pathlib import Path

from tomodistill.inference.version import Manifest, read_manifest
from tomodistill.tracking.flavor import log_version
from tomodistill.tracking.registry import register, set_production
from tomodistill.tracking.runs import phase_run

_OF_MLFLOW = ("MLmodel", "registered_model_meta")  # written anew


def publish(folder: Path) -> None:
    """Register a copy of a version, and put it in production."""

    def write(copy: Path) -> Manifest:
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(*_OF_MLFLOW))
        return read_manifest(copy)

    with phase_run("distill", name=f"copy of {folder.name}"):
        logged = log_version("student", write)
    found = register(logged.model_id, digest=logged.digest, tags={})
    set_production(found.version, {})


if __name__ == "__main__":
    publish(Path(sys.argv[1]))
