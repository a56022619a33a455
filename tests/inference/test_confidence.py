import numpy as np
import pytest
from scipy.special import softmax

from tomodistill.errors import InputError
from tomodistill.inference.confidence import (
    SCORES,
    Unknown,
    complete_priors,
    log_probabilities,
    parse_priors,
    with_priors,
)

BALANCED = {"ribosome": 0.25, "proteasome": 0.25, "chaperonin": 0.5}


def test_temperature_divides_logits(rng: np.random.Generator) -> None:
    logits = rng.normal(scale=3, size=(20, 4)).astype(np.float32)
    found = np.exp(log_probabilities(logits, temperature=2.5))
    exponentials = np.exp(logits.astype(float) / 2.5)
    np.testing.assert_allclose(found, exponentials / exponentials.sum(axis=1, keepdims=True))


def test_saturated_logits_stay_finite_under_any_priors() -> None:
    known = log_probabilities(np.array([[3000.0, 0.0], [0.0, -2000.0]], np.float32))
    found = with_priors(known, trained=np.array([0.5, 0.5]), wanted=np.array([1e-3, 0.999]))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.exp(found), [[1, 0], [1, 0]])


def test_priors_by_hand() -> None:
    """P(a | x) = 0.8 where both are as frequent; 1 in 10 is: 0.8 x 0.2 to 0.2 x 1.8, or 4 : 9."""
    found = with_priors(
        np.log([[0.8, 0.2]]), trained=np.array([0.5, 0.5]), wanted=np.array([0.1, 0.9])
    )
    np.testing.assert_allclose(np.exp(found), [[4 / 13, 9 / 13]])


def test_the_same_priors_change_nothing(rng: np.random.Generator) -> None:
    known = log_probabilities(rng.normal(size=(9, 3)))
    shares = np.array([0.2, 0.3, 0.5])
    np.testing.assert_allclose(with_priors(known, trained=shares, wanted=shares), known)


def test_right_priors_help_on_a_set_that_is_not_balanced(rng: np.random.Generator) -> None:
    """Gaussian classes, whose logits are known exactly, where one class is rare."""
    shares, spread = np.array([0.9, 0.08, 0.02]), 1.2
    labels = rng.choice(3, size=4000, p=shares)
    seen = np.eye(3)[labels] + rng.normal(scale=spread, size=(4000, 3))
    balanced = log_probabilities(seen / spread**2)  # Bayes' for equal priors
    shifted = with_priors(balanced, trained=np.full(3, 1 / 3), wanted=shares)
    wrong = with_priors(balanced, trained=np.full(3, 1 / 3), wanted=shares[::-1])
    accuracy = [(of.argmax(axis=1) == labels).mean() for of in (wrong, balanced, shifted)]
    loss = [-of[np.arange(4000), labels].mean() for of in (wrong, balanced, shifted)]
    assert accuracy[0] < accuracy[1] < accuracy[2] - 0.1
    assert loss[0] > loss[1] > loss[2] + 0.2
    np.testing.assert_allclose(np.exp(shifted).mean(axis=0), shares, atol=0.01)


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({"ribosome": 0.4}, {"ribosome": 0.4, "proteasome": 0.2, "chaperonin": 0.4}),
        ({"chaperonin": 0.1, "ribosome": 0.8}, {"ribosome": 0.8, "proteasome": 0.1}),
        ({"ribosome": 0.7, "proteasome": 0.2, "chaperonin": 0.1}, {"chaperonin": 0.1}),
    ],
)
def test_classes_not_named_share_the_rest_as_in_the_training_data(
    named: dict[str, float], expected: dict[str, float]
) -> None:
    found = complete_priors(named, BALANCED)
    assert list(found) == list(BALANCED)
    assert sum(found.values()) == pytest.approx(1)
    assert {name: found[name] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"virus": 0.2}, "classes among ribosome, proteasome, chaperonin; found virus"),
        ({"ribosome": 0.0}, "above 0 and below 1"),
        ({"ribosome": -0.1}, "above 0 and below 1"),
        ({"ribosome": float("nan")}, "above 0 and below 1"),
        ({"ribosome": 0.6, "proteasome": 0.4}, "below 1 in all, for the classes not named"),
        ({"ribosome": 0.6, "proteasome": 0.3, "chaperonin": 0.3}, "of 1 in all; found 1.2"),
        ({"ribosome": 0.3, "proteasome": 0.3, "chaperonin": 0.3}, "of 1 in all; found 0.9"),
    ],
)
def test_impossible_priors_are_refused(named: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=f"priors: .*{words}"):
        complete_priors(named, BALANCED)


def test_priors_as_text() -> None:
    assert parse_priors("ribosome:0.6, 1a:b :0.1") == {"ribosome": 0.6, "1a:b": 0.1}


@pytest.mark.parametrize(
    "text", ["", "ribosome", "ribosome:", "ribosome:x", "a:0.2,a:0.3", "a:0.2,", "a:2", "a:nan"]
)
def test_a_text_that_is_no_priors_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="priors: "):
        parse_priors(text)


def test_scores_by_hand() -> None:
    logits = np.log([[6.0, 1.0, 3.0]])  # probabilities 0.6, 0.1, 0.3
    half = np.sqrt([6.0, 1.0, 3.0])
    half /= half.sum()  # at temperature 2
    found = {name: score(logits, 2.0)[0] for name, score in SCORES.items()}
    assert found == pytest.approx(
        {
            "max_probability": half[0],
            "max_logit": np.log(6),
            "energy": np.log(10),
            "margin": np.log(2),
            "entropy": (half * np.log(half)).sum(),
        }
    )


@pytest.mark.parametrize("name", SCORES)
def test_every_score_is_higher_for_what_is_surely_one_class(name: str) -> None:
    sure, torn = np.array([[9.0, 0.0, 0.0]]), np.array([[1.0, 1.0, 1.0]])
    assert SCORES[name](sure, 1.5) > SCORES[name](torn, 1.5)
    assert np.isfinite(SCORES[name](1e4 * sure, 0.05)).all()


def unknown(**changes: object) -> Unknown:
    fields = {
        "score": "max_probability",
        "threshold": 0.5,
        "false_rejection": 0.05,
        "items": 100,
        "held_out_a": ("a",),
        "held_out_b": ("b",),
        "candidates": {"max_probability": 0.9},
        "measured": {"rejected": 0.7},
    }
    return Unknown(**{**fields, **changes})


def test_what_is_below_the_threshold_is_rejected() -> None:
    logits = np.log(np.array([[0.6, 0.4], [0.5, 0.5], [0.499, 0.501]], np.float32))
    scores = unknown().scores(logits, temperature=1.0)
    np.testing.assert_allclose(scores, softmax(logits, axis=1).max(axis=1))
    assert unknown(threshold=scores[1]).rejects(scores).tolist() == [False, False, False]
    assert unknown(threshold=0.55).rejects(scores).tolist() == [False, True, True]


def test_a_score_of_a_later_program_is_refused() -> None:
    with pytest.raises(ValueError, match="'depth'"):
        unknown(score="depth")
