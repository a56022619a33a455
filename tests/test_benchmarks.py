"""What a script for a lent GPU may import, where there is neither MLflow nor TensorFlow."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
_TOLD = """
import sys, paper_tables
print(sorted({"fastapi", "mlflow", "tensorflow"} & set(sys.modules)), "jax" in sys.modules)
"""


def test_the_study_of_the_papers_tables_needs_jax_alone() -> None:
    path = f"{ROOT / 'src'}{os.pathsep}{ROOT / 'benchmarks'}"
    environment = {**os.environ, "PYTHONPATH": path, "KERAS_BACKEND": "jax"}
    command = [sys.executable, "-c", _TOLD]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "[] True"
