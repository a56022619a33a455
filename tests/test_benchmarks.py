"""The study of the paper's tables, small: on JAX alone, and found again when it is asked again."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
_STUDY = """
import runpy, sys
runpy.run_path("benchmarks/paper_tables.py", run_name="__main__")
print("loaded:", *sorted({"mlflow", "sklearn", "tensorflow"} & set(sys.modules)))
"""


def study(out: Path) -> str:
    flags = "--scale smoke --structures builtin --classes clpp,groel --seeds 0 --students s3"
    path = f"{ROOT / 'src'}:{ROOT / 'benchmarks'}"
    done = subprocess.run(
        [sys.executable, "-c", _STUDY, *flags.split(), "--out", str(out)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_study_runs_on_jax_alone_and_goes_on_where_it_was(tmp_path: Path) -> None:
    first = study(tmp_path)
    assert first.rstrip().endswith("loaded:")
    tables = (tmp_path / "tables.md").read_text()
    assert tables in first
    assert [line.split(" | ")[0] for line in tables.splitlines() if line.startswith("| ")] == [
        *("| model", "| ---", "| dsrf3d_v2", "| s3"),
        *("| model", "| ---", "| s3"),
    ]
    lost = tmp_path / "seed0" / "s3-soft.npz"
    lost.unlink()
    again = study(tmp_path)
    assert "epoch 1" in first
    assert again.count("epoch 1") == 1  # of the one that was lost
    same = (line for line in tables.splitlines() if line.startswith("| s3"))
    assert next(same) in again
