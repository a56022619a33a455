"""Where data lies: one folder for subtomogram sets and what was downloaded."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tomodistill.errors import InputError

VARIABLE = "TOMODISTILL_DATA"  # environment: the folder, for checkouts that cannot be written
_NAME_IT = f"Set {VARIABLE} to the absolute path of a folder that can."
_DEFAULT = Path("data")  # in the working directory, which under `mlflow run` is the checkout


def data_folder() -> Path:
    """The folder that TOMODISTILL_DATA names; `data` in the working directory if it is not set.

    Raises InputError for a relative path: `mlflow run` changes the working directory.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return _DEFAULT
    if not Path(named).is_absolute():
        raise InputError(
            expected=f"an absolute path in {VARIABLE}",
            found=named,
            todo=f'Say for example {VARIABLE}="$PWD/{named}".',
        )
    return Path(named)


def sets() -> Path:
    """The folder of subtomogram sets."""
    return data_folder() / "sets"


def models() -> Path:
    """The folder of downloaded model versions."""
    return data_folder() / "models"


def soft_labels() -> Path:
    """The folder of soft labels that are not finished."""
    return data_folder() / "soft_labels"


def checkpoints() -> Path:
    """The folder of trainings that are not finished."""
    return data_folder() / "checkpoints"


def structures_cache() -> Path:
    """The folder of structures fetched from the PDB archive."""
    return data_folder() / "pdb"


def writable(folder: Path, *, flag: str = "") -> Path:
    """The folder, made if it is missing. Raises InputError if nothing can be written there.

    Call it before work whose result shall lie there, not before reading: data may be read-only.
    `flag`: which names it; without one it is in the data folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # permissions alone do not tell: try
            return folder
    except OSError as error:
        which = f"{flag}: a folder" if flag else "a folder for data"
        name = f"Give another with {flag}=FOLDER." if flag else _NAME_IT
        raise InputError(
            expected=f"{which} that can be written",
            found=f"{folder.absolute()}: {error.strerror}",
            todo=name,
        ) from error


@contextmanager
def one_at_a_time(name: str, waiting: str) -> Iterator[None]:
    """Of the processes that share the data folder; others say `waiting` and wait.

    A process that dies lets go. Where nothing can be locked (a read-only folder, some network file
    systems) the block runs all the same: the worst is work done twice.
    """
    with ExitStack() as opened:
        try:
            path = data_folder() / "locks" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _lock(opened.enter_context(path.open("a")).fileno(), waiting)
        except OSError:
            pass
        yield


def _lock(file: int, waiting: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(waiting, flush=True)
        fcntl.flock(file, fcntl.LOCK_EX)
