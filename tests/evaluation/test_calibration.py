import numpy as np
import pytest

from tomodistill.evaluation.calibration import (
    BINS,
    Answers,
    Bin,
    calibrate,
    calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability,
    share,
)
from tomodistill.evaluation.table import Interval
from tomodistill.inference.confidence import log_probabilities


def honest(rng: np.random.Generator, items: int) -> Answers:
    """Logits whose softmax is the chance of each class: labels are drawn from it."""
    logits = rng.normal(scale=2, size=(items, 5)).astype(np.float32)
    chances = np.exp(log_probabilities(logits)).cumsum(axis=1)
    labels = (rng.random((items, 1)) > chances[:, :-1]).sum(axis=1)
    return Answers(logits, labels)


@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_the_temperature_undoes_what_was_done_to_logits(
    rng: np.random.Generator, factor: float
) -> None:
    answers = honest(rng, 5000)
    scaled = Answers(np.float32(factor) * answers.logits, answers.labels)
    assert fit_temperature(scaled) == pytest.approx(factor, rel=0.06)


def test_the_temperature_is_that_of_the_smallest_loss(rng: np.random.Generator) -> None:
    answers = honest(rng, 300)
    best = fit_temperature(answers)
    found = [negative_log_likelihood(answers, temperature=t * best) for t in (0.9, 1, 1.1)]
    assert min(found) == found[1]


def test_a_part_without_a_mistake_has_a_temperature() -> None:
    """3 items and one more of all 3 classes: probabilities of 3/4 + 1/4 x 1/3, or odds of 10."""
    logits = 3 * np.eye(3, dtype=np.float32)
    assert fit_temperature(Answers(logits, np.arange(3))) == pytest.approx(3 / np.log(10), rel=1e-3)


def test_a_part_without_a_hit_has_the_largest_one() -> None:
    answers = Answers(3 * np.eye(3, dtype=np.float32), np.array([1, 2, 0]))
    assert fit_temperature(answers) == pytest.approx(100, rel=0.01)


def test_loss_by_hand() -> None:
    answers = Answers(np.log([[0.7, 0.3], [0.2, 0.8]]).astype(np.float32), np.array([0, 0]))
    expected = -(np.log(0.7) + np.log(0.2)) / 2
    assert negative_log_likelihood(answers, temperature=1) == pytest.approx(expected, rel=1e-6)


def test_bins_hold_as_many_items_each_and_all_of_them(rng: np.random.Generator) -> None:
    bins = reliability(honest(rng, 1004), temperature=1)
    assert len(bins) == BINS
    assert {of.items for of in bins} == {66, 67}
    assert sum(of.items for of in bins) == 1004
    confidences = [of.confidence for of in bins]
    assert confidences == sorted(confidences)
    counts = [of.items for of in reliability(honest(rng, 39), temperature=1)]
    assert counts == [13, 13, 13]
    assert [of.items for of in reliability(honest(rng, 3), temperature=1)] == [3]


def test_error_by_hand() -> None:
    bins = [Bin(0.9, Interval(0.7, 0, 1), 30), Bin(0.5, Interval(0.6, 0, 1), 10)]
    assert calibration_error(bins) == pytest.approx((30 * 0.2 + 10 * 0.1) / 40)


def test_error_of_a_network_that_is_always_sure_is_its_share_of_mistakes() -> None:
    labels = np.arange(100) % 4
    sure = 50 * np.eye(4, dtype=np.float32)[np.where(np.arange(100) < 20, (labels + 1) % 4, labels)]
    bins = reliability(Answers(sure, labels), temperature=1)
    assert calibration_error(bins) == pytest.approx(0.2, abs=1e-6)


def test_calibration_helps_on_items_it_was_not_fitted_to(rng: np.random.Generator) -> None:
    val, test = (
        Answers(np.float32(2.5) * of.logits, of.labels)
        for of in (honest(rng, 800), honest(rng, 3000))
    )
    found = calibrate(val, test=test, priors={"a": 1.0})
    assert (found.items, found.priors) == (800, {"a": 1.0})
    assert found.temperature == fit_temperature(val)
    assert found.measured["ece"] < 0.03 < 0.1 < found.measured["ece_uncalibrated"]
    expected = negative_log_likelihood(test, temperature=found.temperature)
    assert found.measured["nll"] == expected < found.measured["nll_uncalibrated"]
    assert found.measured["nll_uncalibrated"] == negative_log_likelihood(test, temperature=1)


def test_share_with_the_published_interval() -> None:
    """Newcombe 1998, Statistics in Medicine 17:857, Table I: 15 of 148."""
    found = share(np.arange(148) < 15)
    assert found == pytest.approx((15 / 148, 0.0624, 0.1605), abs=5e-5)
