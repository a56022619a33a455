"""`python -m entrypoints NAME [--flag value ...]`: what MLproject calls.

The entry points are imported late, so that worker processes do not import TensorFlow too.
"""

import importlib
import os
import sys

from tomodistill.errors import InputError

NAMES = (
    "main",
    "simulate",
    "teacher",
    "soft_labels",
    "distill",
    "compare",
    "promote",
    "rollback",
    "status",
    "serve",
)
EXIT_INPUT = 2


def main(arguments: list[str]) -> int:
    """Run one entry point; a user's mistake ends it with one line and an exit code."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", str(sys.stderr.isatty()))
    name, *rest = arguments or ["--help"]
    if name not in NAMES:
        print(f"usage: python -m entrypoints {{{','.join(NAMES)}}} [--help]", file=sys.stderr)
        return EXIT_INPUT
    try:
        importlib.import_module(f"entrypoints.{name}").main(rest)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_INPUT
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
