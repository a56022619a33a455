"""What logits are worth: calibrated probabilities, the user's priors, a score for the unknown.

Pure functions of logits, and what a version's manifest keeps of them. The values are fitted and
measured elsewhere; here they are used.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, logsumexp, softmax

from tomodistill.errors import InputError

TRAINED = "trained"  # in the place of priors: those of the training data
UNKNOWN = -1  # in the place of a class index: like none of the classes
_ROUNDING = 1e-3  # by which shares that people type may miss 1
Score = Callable[[NDArray[np.float64], float], NDArray[np.float64]]


@dataclass(frozen=True)
class Calibration:
    """Temperature scaling (Guo et al. 2017, arXiv 1706.04599): softmax(logits / temperature)."""

    temperature: float  # fitted on the validation part
    items: int  # of the validation part
    priors: dict[str, float]  # share of each class in the training part
    measured: dict[str, float]  # on the test part: "ece", "nll", and both "_uncalibrated"


@dataclass(frozen=True)
class Unknown:
    """A rejection: an item whose score is below the threshold is like none of the classes."""

    score: str  # one of SCORES, chosen on the held-out classes A
    threshold: float  # of the validation part no larger share than `false_rejection` is below it
    false_rejection: float
    items: int  # of the validation part
    held_out_a: tuple[str, ...]
    held_out_b: tuple[str, ...]  # chose nothing, as the test part
    candidates: dict[str, float]  # score -> area under the ROC curve, A against validation part
    measured: dict[str, float]  # on test part and B: shares with 95 % intervals and their items

    def __post_init__(self) -> None:
        if self.score not in SCORES:
            raise ValueError(f"a score this program does not know: {self.score!r}")

    def scores(self, logits: NDArray[np.floating], *, temperature: float) -> NDArray[np.float64]:
        """(n,) of (n, classes) logits: the higher, the more like a class that was trained on."""
        return SCORES[self.score](logits.astype(np.float64), temperature)

    def rejects(self, scores: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(n,) whether each item is like none of the classes."""
        return scores < self.threshold


def log_probabilities(
    logits: NDArray[np.floating], *, temperature: float = 1.0
) -> NDArray[np.float64]:
    """(n, classes) log of softmax(logits / temperature): finite where logits are saturated too."""
    return _log_softmax(logits.astype(np.float64) / temperature)


def with_priors(
    known: NDArray[np.float64], *, trained: NDArray[np.float64], wanted: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n, classes) log probabilities under other priors, each (classes,) and positive.

    Bayes' rule (Saerens et al. 2002, Neural Computation 14:21): p(volume | class) is the
    same in the set and in the cell, and so is p(class | volume) / p(class) up to a factor.
    """
    return _log_softmax(known + np.log(wanted) - np.log(trained))


def _log_softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, classes) along the classes. A service asks for few rows at a time: SciPy's, which takes
    arrays of every library, would need six times as long.
    """
    shifted = values - values.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def parse_priors(text: str) -> dict[str, float]:
    """Class -> share from "ribosome:0.6,proteasome:0.1". Raises InputError if it is none."""
    split = (pair.rsplit(":", 1) for pair in text.split(","))
    try:
        pairs = [(name.strip(), float(share)) for name, share in split]
    except ValueError as error:
        raise _refusal("class:share pairs", repr(text)) from error
    _check(len(dict(pairs)) == len(pairs), "each class once", text)
    _check_shares(dict(pairs))
    return dict(pairs)


def stated_priors(text: str) -> dict[str, float] | None:
    """Class -> share, of the classes that a flag names; None for TRAINED."""
    return None if text == TRAINED else parse_priors(text)


def complete_priors(named: Mapping[str, float], trained: Mapping[str, float]) -> dict[str, float]:
    """Class -> share of all classes in the order of `trained`; those not named share the rest.

    They do so in the ratios of `trained`. Raises InputError for a class that is not among them,
    and for shares that do not add up.
    """
    _check_shares(named)
    strangers = [name for name in named if name not in trained]
    _check(not strangers, f"classes among {', '.join(trained)}", ", ".join(strangers))
    rest = {name: share for name, share in trained.items() if name not in named}
    left, total = 1 - sum(named.values()), sum(rest.values())
    fits = left > _ROUNDING if rest else abs(left) <= _ROUNDING
    words = "below 1 in all, for the classes not named" if rest else "of 1 in all"
    _check(fits, f"shares {words}", f"{1 - left:g}")
    filled = {name: left * share / total for name, share in rest.items()}
    return {name: named.get(name, filled.get(name, 0.0)) for name in trained}


def _check_shares(priors: Mapping[str, float]) -> None:
    wrong = {name: share for name, share in priors.items() if not 0 < share < 1}
    found = ", ".join(f"{name}:{share:g}" for name, share in wrong.items())
    _check(not wrong, "shares above 0 and below 1 (a rare class: 0.001)", found)


def _check(holds: bool, expected: str, found: str) -> None:
    if not holds:
        raise _refusal(expected, found)


def _refusal(expected: str, found: str) -> InputError:
    return InputError(
        expected=f"priors: {expected}",
        found=found,
        todo="Give shares of such classes, as priors=NAME:0.6,OTHER:0.1",
    )


def _max_probability(logits: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    return np.asarray(softmax(logits / temperature, axis=1).max(axis=1))


def _max_logit(logits: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    return np.asarray(logits.max(axis=1))


def _energy(logits: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """The negative free energy of Liu et al. 2020 (arXiv 2010.03759)."""
    return np.asarray(logsumexp(logits, axis=1))


def _margin(logits: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    second, first = np.partition(logits, (-2, -1), axis=1)[:, -2:].T
    return np.asarray(first - second)


def _entropy(logits: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    return -np.asarray(entr(softmax(logits / temperature, axis=1)).sum(axis=1))


# (n, classes) logits and the calibration's temperature -> (n,), higher for a known class.
SCORES: dict[str, Score] = {
    "max_probability": _max_probability,
    "max_logit": _max_logit,
    "energy": _energy,
    "margin": _margin,
    "entropy": _entropy,
}
