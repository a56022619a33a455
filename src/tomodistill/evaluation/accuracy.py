"""How often a network is right, with an interval, and where it errs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import classification_report, confusion_matrix

from tomodistill.evaluation.cost import accuracy_rate
from tomodistill.evaluation.table import Interval

_DRAWS = 4000


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


def accuracy_rate_interval(*, student: NDArray[np.bool_], teacher: NDArray[np.bool_]) -> Interval:
    """Student accuracy over teacher accuracy, and its 95 % interval.

    (n,) whether each decided right, on the same items in one order. By bootstrap over items (seed
    0), which keeps the pairs: both meet the same hard items, so that the ratio is known better than
    either accuracy.
    """
    counts = [np.sum((student == s) & (teacher == t)) for s in (True, False) for t in (True, False)]
    drawn = np.random.default_rng(0).multinomial(
        len(student), np.divide(counts, len(student)), _DRAWS
    )
    right, of_teacher = drawn[:, 0] + drawn[:, 1], drawn[:, 0] + drawn[:, 2]
    rates = np.where(of_teacher > 0, right / np.maximum(of_teacher, 1), 0.0)
    low, high = np.percentile(rates, (2.5, 97.5))
    value = accuracy_rate(
        teacher_accuracy=float(teacher.mean()), student_accuracy=float(student.mean())
    )
    return Interval(value, float(low), float(high))


def agreement(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Share of subtomograms on which two (n, classes) logits decide alike."""
    return float((a.argmax(axis=1) == b.argmax(axis=1)).mean())
