"""`python -m entrypoints NAME [--flag value ...]`: what MLproject calls.

The entry points are imported late, so that worker processes do not import TensorFlow too.
"""

import importlib
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from entrypoints import NAMES
from tomodistill.errors import InputError

EXIT_INPUT, EXIT_SIGNAL = 2, 128  # a signal's number is added, as shells do
_STOPS = ("SIGINT", "SIGTERM", "SIGHUP")  # Ctrl-C, a scheduler's end of time, a lost terminal
_ONCE_SECONDS = 5.0  # Ctrl-C on `mlflow run` brings a SIGTERM right after: one stop, not two


def main(arguments: list[str]) -> int:
    """Run one entry point; a mistake, a fault or a stop ends it with one line and an exit code."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # of tiny files
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # not of our pages
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # each new network is traced anew
    name, *rest = arguments or ["--help"]
    if name not in NAMES:
        print(f"usage: python -m entrypoints {{{','.join(NAMES)}}} [--help]", file=sys.stderr)
        return EXIT_INPUT
    with _stoppable():
        return _guarded(name, rest)


def _guarded(name: str, arguments: list[str]) -> int:
    opened = os.environ.get("MLFLOW_RUN_ID")  # by `mlflow run`
    try:
        _run(name, arguments)
    except KeyboardInterrupt as stop:
        return _stopped(stop, opened)
    except Exception as error:
        fault = _fault(error)
        if fault is None:
            raise
        print(f"error: {fault}", file=sys.stderr)
        return EXIT_INPUT
    return 0


def _run(name: str, arguments: list[str]) -> None:
    entry_point = importlib.import_module(f"entrypoints.{name}")
    # The service answers 503 until its registry does; a task of a job array needs none.
    by_itself = name in ("serve", "predict")
    if not by_itself and not {"-h", "--help"} & set(arguments):
        from tomodistill.tracking.store import check_store

        check_store()
    entry_point.main(_joined(arguments))


def _joined(arguments: list[str]) -> list[str]:
    """`--snr -1e3` as `--snr=-1e3`: argparse would take such a value for a flag."""
    rest, joined = iter(arguments), []
    for argument in rest:
        lone = argument.startswith("--") and "=" not in argument and argument != "--help"
        value = next(rest, None) if lone else None
        joined.append(argument if value is None else f"{argument}={value}")
    return joined


def _fault(error: Exception) -> InputError | None:
    """What a user can mend; None for a bug, which keeps its traceback."""
    if isinstance(error, InputError):
        return error
    from tomodistill.tracking.store import explain

    return explain(error)


def _stopped(stop: KeyboardInterrupt, opened: str | None) -> int:
    number = int(stop.args[0]) if stop.args else signal.SIGINT
    why = f"stopped by {signal.Signals(number).name}"
    print(f"{why}: the same command continues with what is missing", file=sys.stderr)
    if opened and "tomodistill.tracking.runs" in sys.modules:  # else `mlflow run` closes it
        from tomodistill.tracking.runs import close_as_killed

        close_as_killed(opened)
    return EXIT_SIGNAL + number


@contextmanager
def _stoppable() -> Iterator[None]:
    """Within the block a stop raises KeyboardInterrupt with the signal's number.

    A signal that the caller set to be ignored stays so (nohup).
    """
    last = -_ONCE_SECONDS

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal last
        again, last = time.monotonic() - last < _ONCE_SECONDS, time.monotonic()
        if not again:
            raise KeyboardInterrupt(number)

    numbers = [getattr(signal, name) for name in _STOPS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    heeded = {number: old for number, old in before.items() if old is not signal.SIG_IGN}
    for number in heeded:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, old in heeded.items():
            signal.signal(number, old)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
