"""What is like none of the classes: which score tells it, from which threshold, and how well.

The score is chosen on held-out classes A, the threshold on the validation part, both are measured
on other held-out classes B and on the test part: neither of these chooses anything.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from tomodistill.evaluation.calibration import share
from tomodistill.inference.confidence import SCORES, Unknown

Logits = NDArray[np.float32]
Scores = NDArray[np.float64]


class HeldOut(NamedTuple):
    """What a network said of classes that it was not trained on."""

    class_names: tuple[str, ...]
    logits: Logits  # (n, classes that it was trained on)


def learn_unknown(
    *,
    val: Logits,
    test: Logits,
    a: HeldOut,
    b: HeldOut,
    temperature: float,
    false_rejection: float,
) -> Unknown:
    """The best score on A, its threshold, and what they do; logits (n, classes) trained on."""

    def scores(name: str, logits: Logits) -> Scores:
        return SCORES[name](logits.astype(np.float64), temperature)

    candidates = {
        name: auc(known=scores(name, val), unknown=scores(name, a.logits)) for name in SCORES
    }
    best = max(candidates, key=lambda name: candidates[name])
    limit = threshold(scores(best, val), false_rejection)
    measured = _measured(limit, *(scores(best, logits) for logits in (test, a.logits, b.logits)))
    return Unknown(
        score=best,
        threshold=limit,
        false_rejection=false_rejection,
        items=len(val),
        held_out_a=a.class_names,
        held_out_b=b.class_names,
        candidates=candidates,
        measured={**measured, "auc_a": candidates[best]},
    )


def threshold(known: Scores, false_rejection: float) -> float:
    """The largest of (n,) scores with no larger share than `false_rejection` below it."""
    return float(np.sort(known)[int(false_rejection * len(known))])


def auc(*, known: Scores, unknown: Scores) -> float:
    """Area under the ROC curve: how often a known item has the higher score; 0.5 at chance."""
    is_known = np.repeat((True, False), (len(known), len(unknown)))
    return float(roc_auc_score(is_known, np.concatenate([known, unknown])))


def _measured(limit: float, of_test: Scores, of_a: Scores, of_b: Scores) -> dict[str, float]:
    shares = {"false_rejection": share(of_test < limit), "rejected": share(of_b < limit)}
    ends = {
        f"{name}_{end}": getattr(found, end)
        for name, found in shares.items()
        for end in ("low", "high")
    }
    return {
        **{name: found.value for name, found in shares.items()},
        **ends,
        "rejected_a": share(of_a < limit).value,
        "auc_b": auc(known=of_test, unknown=of_b),
        "items_test": len(of_test),
        "items_a": len(of_a),
        "items_b": len(of_b),
    }
