"""How far probabilities can be believed: temperature scaling, its error, its reliability."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest

from tomodistill.evaluation.table import Interval
from tomodistill.inference.confidence import Calibration, log_probabilities

BINS = 15  # of as many items each
_FEWEST = 10  # items of a bin: fewer say nothing
_TEMPERATURES = 0.01, 100.0


class Answers(NamedTuple):
    """What a network said of one labelled part of a set."""

    logits: NDArray[np.float32]  # (n, classes)
    labels: NDArray[np.int64]  # (n,)


class Bin(NamedTuple):
    """Items of similar confidence, the probability of the class decided for."""

    confidence: float  # mean
    accuracy: Interval  # Wilson 95 %
    items: int


def calibrate(val: Answers, *, test: Answers, priors: dict[str, float]) -> Calibration:
    """The temperature that fits the validation part, and what it gives on the test part."""
    temperature = fit_temperature(val)
    measured = {}
    for suffix, at in (("", temperature), ("_uncalibrated", 1.0)):
        measured[f"ece{suffix}"] = calibration_error(reliability(test, temperature=at))
        measured[f"nll{suffix}"] = negative_log_likelihood(test, temperature=at)
    return Calibration(temperature, len(val.labels), priors, measured)


def fit_temperature(answers: Answers) -> float:
    """The temperature, from 0.01 to 100, of the smallest negative log-likelihood.

    Temperature scaling of Guo et al. 2017 (arXiv 1706.04599): no decision changes. One item more
    is counted, of every class alike, as Platt (1999) did: a part without a mistake would have a
    temperature of zero.
    """
    found = minimize_scalar(
        lambda log_t: _with_one_more(answers, temperature=float(np.exp(log_t))),
        bounds=np.log(_TEMPERATURES),
        method="bounded",
    )
    return float(np.exp(found.x))


def negative_log_likelihood(answers: Answers, *, temperature: float) -> float:
    """Mean −log probability of the true class."""
    log_p = log_probabilities(answers.logits, temperature=temperature)
    return float(-log_p[np.arange(len(answers.labels)), answers.labels].mean())


def _with_one_more(answers: Answers, *, temperature: float) -> float:
    of_any_class = -log_probabilities(answers.logits, temperature=temperature).mean()
    items, of_true = len(answers.labels), negative_log_likelihood(answers, temperature=temperature)
    return (items * of_true + float(of_any_class)) / (items + 1)


def reliability(answers: Answers, *, temperature: float) -> list[Bin]:
    """Accuracy beside confidence in bins of as many items each, the least confident first.

    There are BINS, or fewer of at least 10 items.
    """
    probabilities = np.exp(log_probabilities(answers.logits, temperature=temperature))
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == answers.labels
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, min(BINS, max(1, len(order) // _FEWEST)))
    return [Bin(float(confidence[p].mean()), share(correct[p]), len(p)) for p in parts]


def calibration_error(bins: list[Bin]) -> float:
    """Expected calibration error: mean |accuracy − confidence| over items, by bins.

    Chance alone makes some: about 0.3 / sqrt(items of a bin) at an accuracy of 0.8.
    """
    gaps = [of.items * abs(of.accuracy.value - of.confidence) for of in bins]
    return sum(gaps) / sum(of.items for of in bins)


def share(holds: NDArray[np.bool_]) -> Interval:
    """Of (n,) items those for which it holds, with the Wilson 95 % interval."""
    ends = binomtest(int(holds.sum()), len(holds)).proportion_ci(method="wilson")
    return Interval(float(holds.mean()), float(ends.low), float(ends.high))
