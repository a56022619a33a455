"""What a training needs to go on after its process was killed: one file, replaced every epoch."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomodistill.subtomograms.files import remove_abandoned, whole_file

KEPT_SECONDS = 30 * 24 * 3600.0  # so long may an interrupted training wait to go on
_SUFFIX = ".checkpoint"

Arrays = Sequence[NDArray[Any]]


@dataclass(frozen=True)
class State:
    """A training after a whole epoch."""

    curves: Mapping[str, list[float]]  # as in History
    model: Arrays  # every variable: weights, and the states of random generators
    optimizer: Arrays  # likewise
    best: Arrays  # weights of the best validation loss so far

    @property
    def epochs(self) -> int:
        """How many are done."""
        return len(self.curves["train/loss"])


@dataclass(frozen=True)
class Checkpoint:
    """The place for the last state of one training."""

    folder: Path
    fingerprint: str  # sha256 of what is trained and how; names the file too

    @property
    def path(self) -> Path:
        """The file, which stands there from the end of the first epoch on."""
        return self.folder / f"{self.fingerprint[:32]}{_SUFFIX}"

    def write(self, state: State) -> None:
        """Put this state in the place of the last one; no moment without a whole file."""
        remove_abandoned(self.folder, f"*{_SUFFIX}", after=KEPT_SECONDS)
        about = json.dumps({"fingerprint": self.fingerprint, "curves": state.curves})
        arrays = {
            f"{name}/{index}": array
            for name in _ARRAYS
            for index, array in enumerate(getattr(state, name))
        }
        with whole_file(self.path) as path, path.open("wb") as file:
            np.savez(file, about=np.array(about), **arrays)

    def read(self) -> State | None:
        """The last state; None if there is none, or none to be trusted, which is said."""
        if not self.path.exists():
            return None
        try:
            return self._read()
        except Exception as error:  # a damaged archive makes its readers raise nearly anything
            print(f"checkpoint ignored: {self.path}: {str(error) or repr(error)}", file=sys.stderr)
            return None

    def remove(self) -> None:
        """For a training whose result is recorded."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> State:
        with self.path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))  # each array has its checksum
            if about["fingerprint"] != self.fingerprint:
                raise ValueError("it is of another training")
            return State(about["curves"], *(_numbered(arrays, name) for name in _ARRAYS))


_ARRAYS = ("model", "optimizer", "best")


def _numbered(arrays: Any, name: str) -> list[NDArray[Any]]:
    count = sum(key.startswith(f"{name}/") for key in arrays.files)
    return [arrays[f"{name}/{index}"] for index in range(count)]
