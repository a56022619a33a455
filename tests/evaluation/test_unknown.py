import numpy as np
import pytest

from tomodistill.evaluation.calibration import share
from tomodistill.evaluation.unknown import HeldOut, auc, learn_unknown, threshold
from tomodistill.inference.confidence import SCORES


def of_known(rng: np.random.Generator, items: int) -> np.ndarray:
    """(n, 4) logits: one class stands out."""
    logits = rng.normal(size=(items, 4))
    logits[np.arange(items), rng.integers(4, size=items)] += 6
    return logits.astype(np.float32)


def of_strangers(rng: np.random.Generator, items: int) -> np.ndarray:
    """Between two classes: the largest logit is that of known items, the margin is not."""
    logits = rng.normal(size=(items, 4))
    logits[:, :2] += 6 + rng.normal(size=(items, 1))
    return logits.astype(np.float32)


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("items", [3, 50, 101])
def test_no_more_than_the_stated_share_of_known_items_is_below_the_threshold(
    rng: np.random.Generator, rate: float, items: int
) -> None:
    scores = rng.normal(size=items)
    limit = threshold(scores, rate)
    below = (scores < limit).sum()
    assert below <= rate * items < below + 1  # and as many as that allows


def test_scores_that_are_alike_are_kept() -> None:
    assert threshold(np.ones(20), 0.5) == 1.0  # an item of score 1 is not below it


def test_area_by_hand() -> None:
    known, unknown = np.array([3.0, 5.0]), np.array([1.0, 4.0])
    assert auc(known=known, unknown=unknown) == 3 / 4  # pairs in which the known one is higher
    assert auc(known=unknown, unknown=known) == 1 / 4


def test_score_and_threshold_are_chosen_and_measured(rng: np.random.Generator) -> None:
    val, test = of_known(rng, 400), of_known(rng, 500)
    a, b = of_strangers(rng, 300), of_strangers(rng, 200)
    found = learn_unknown(
        val=val,
        test=test,
        a=HeldOut(("p", "q"), a),
        b=HeldOut(("r",), b),
        temperature=1.3,
        false_rejection=0.05,
    )
    areas = {
        name: auc(known=score(val.astype(float), 1.3), unknown=score(a.astype(float), 1.3))
        for name, score in SCORES.items()
    }
    assert found.candidates == areas
    assert areas[found.score] == max(areas.values()) > 0.9 > areas["energy"] + 0.2
    scores = [found.scores(of, temperature=1.3) for of in (val, test, a, b)]
    rejected = [found.rejects(of) for of in scores]
    assert rejected[0].mean() == 0.05
    measured = found.measured
    assert measured["false_rejection"] == rejected[1].mean()
    assert (measured["rejected_a"], measured["rejected"]) == (
        rejected[2].mean(),
        rejected[3].mean(),
    )
    ends = measured["rejected_low"], measured["rejected_high"]
    assert (measured["rejected"], *ends) == tuple(share(rejected[3]))
    assert measured["false_rejection_low"] < 0.05 < measured["false_rejection_high"]
    assert (measured["items_test"], measured["items_a"], measured["items_b"]) == (500, 300, 200)
    assert measured["auc_b"] == auc(known=scores[1], unknown=scores[3])
    assert (found.items, found.held_out_a, found.held_out_b) == (400, ("p", "q"), ("r",))


def test_test_part_and_b_choose_nothing(rng: np.random.Generator) -> None:
    val, a = of_known(rng, 100), of_strangers(rng, 80)
    chosen = [
        learn_unknown(
            val=val,
            test=test,
            a=HeldOut(("p",), a),
            b=HeldOut(("r",), b),
            temperature=1.0,
            false_rejection=0.1,
        )
        for test, b in (
            (of_known(rng, 50), of_strangers(rng, 60)),
            (of_strangers(rng, 70), of_known(rng, 40)),
        )
    ]
    one, other = ((of.score, of.threshold, of.candidates) for of in chosen)
    assert one == other
    assert chosen[0].measured["rejected"] > 0.5 > chosen[1].measured["rejected"]
