"""How often a network is right, with an interval, and where it errs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import classification_report, confusion_matrix


@dataclass(frozen=True)
class Evaluation:
    """Decisions of one network over one labelled part of a set."""

    decisions: NDArray[np.int64]  # (n,) class index of each item
    items: int
    accuracy: float
    accuracy_low: float  # Wilson 95 % interval
    accuracy_high: float
    confusion: NDArray[np.int64]  # (classes, classes), rows are true labels
    report: dict[str, Any]  # per class: precision, recall, f1-score, support

    def metrics(self, part: str) -> dict[str, float]:
        """Named as in MLflow: "test/accuracy" and so on."""
        names = ("items", "accuracy", "accuracy_low", "accuracy_high")
        return {f"{part}/{name}": float(getattr(self, name)) for name in names}


def evaluate(
    logits: NDArray[np.float32], labels: NDArray[np.int64], class_names: tuple[str, ...]
) -> Evaluation:
    """Compare (n, classes) logits with (n,) known labels."""
    decisions, indices = logits.argmax(axis=1), range(len(class_names))
    correct = int((decisions == labels).sum())
    interval = binomtest(correct, len(labels)).proportion_ci(method="wilson")
    return Evaluation(
        decisions=decisions,
        items=len(labels),
        accuracy=correct / len(labels),
        accuracy_low=float(interval.low),
        accuracy_high=float(interval.high),
        confusion=confusion_matrix(labels, decisions, labels=indices),
        report=classification_report(
            labels,
            decisions,
            labels=indices,
            target_names=class_names,
            output_dict=True,
            zero_division=0,
        ),
    )


def agreement(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Share of subtomograms on which two (n, classes) logits decide alike."""
    return float((a.argmax(axis=1) == b.argmax(axis=1)).mean())
