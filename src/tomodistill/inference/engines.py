"""What runs a network: an engine maps preprocessed volumes to logits; another is a class."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

PRECISIONS = ("float32", "bfloat16", "float16")  # of what is computed between input and logits
REFERENCE = PRECISIONS[0]

Array = NDArray[np.float32]


class Engine(Protocol):
    """Preprocessed volumes (n, e, e, e) in, logits (n, classes) out, float32 both."""

    name: str
    device: str
    precision: str  # one of PRECISIONS

    @property
    def batch(self) -> int:
        """Volumes that keep it busy; more at a time gain little."""
        ...

    def logits(self, volumes: Array) -> Array:
        """(n, classes) logits; safe to call from several threads."""
        ...

    def warm_up(self) -> None:
        """Whatever the first call would have to do."""
        ...
