"""An engine that a test holds up."""

import threading

import numpy as np

SOON = 10.0  # seconds


class Held:
    """An engine that says nothing before its gate opens, and then fails, if it is told so."""

    name, device, precision, batch = "held", "cpu", "float32", 8

    def __init__(self) -> None:
        self.gate, self.started = threading.Event(), threading.Event()
        self.fails = False
        self.computed = 0  # volumes

    def logits(self, prepared: np.ndarray) -> np.ndarray:
        self.started.set()
        assert self.gate.wait(SOON)
        if self.fails:
            raise RuntimeError("the device is lost")
        self.computed += len(prepared)
        return np.zeros((len(prepared), 3), np.float32)

    def warm_up(self) -> None:
        pass
