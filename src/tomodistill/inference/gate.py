"""Whether an engine may stand in for the reference, Keras in float32: measured, not believed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from tomodistill.inference.engines import Array


@dataclass(frozen=True)
class Gate:
    """What an engine must reach on labelled volumes that no training saw."""

    min_agreement: float = 0.99  # share of items that it decides as the reference does
    max_accuracy_loss: float = 0.005


@dataclass(frozen=True)
class Figures:
    """What an engine in one precision reached."""

    agreement: float
    accuracy: float
    reference_accuracy: float
    largest_difference: float  # of a logit
    items: int
    passed: bool


def judge(
    *, reference_logits: Array, logits: Array, labels: NDArray[np.int64], gate: Gate
) -> Figures:
    """Figures of (n, classes) `logits` beside the reference's, with (n,) known labels."""
    decisions, wanted = logits.argmax(axis=1), reference_logits.argmax(axis=1)
    right, reference_right = int((decisions == labels).sum()), int((wanted == labels).sum())
    items = len(labels)
    agreement = float((decisions == wanted).mean())
    difference = largest_difference(reference_logits, logits)
    faithful = np.isfinite(difference) and agreement >= gate.min_agreement
    passed = bool(faithful and (reference_right - right) / items <= gate.max_accuracy_loss)
    return Figures(agreement, right / items, reference_right / items, difference, items, passed)


def probability_difference(logits: Array, others: Array) -> float:
    """Largest difference of a probability between two (n, classes) logits."""
    return largest_difference(softmax(logits, axis=1), softmax(others, axis=1))


def largest_difference(one: Array, other: Array) -> float:
    """Of any number in two arrays of one shape."""
    return float(np.abs(one - other).max())
