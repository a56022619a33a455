import numpy as np
import pytest

from tomodistill.evaluation.classification_counts import (
    BINS,
    KEPT,
    Confidences,
    Samples,
    Tally,
    spread,
)

CLASSES = 4
Particles = tuple[np.ndarray, np.ndarray, np.ndarray]  # numbers, probabilities, scores


@pytest.fixture
def particles(rng: np.random.Generator) -> Particles:
    numbers = rng.integers(1, CLASSES + 1, 3000)
    return numbers, rng.beta(4, 1, 3000).astype(np.float32), rng.normal(-7, 9, 3000)


def gathered(particles: Particles, shards: list[np.ndarray]) -> Confidences:
    found = Confidences(CLASSES)
    for rows in shards:
        found.add(*(values[rows] for values in particles))
    return found


def test_histograms_are_numpys(particles: Particles) -> None:
    numbers, probabilities, scores = particles
    found = gathered(particles, np.array_split(np.arange(3000), 7))
    assert found.reach == 64  # the first power of two beyond all scores
    for number in range(1, CLASSES + 1):
        mine = numbers == number
        expected, _ = np.histogram(probabilities[mine], BINS, (0, 1))
        np.testing.assert_array_equal(found.probabilities[number - 1], expected)
        expected, _ = np.histogram(scores[mine], found.score_edges)
        np.testing.assert_array_equal(found.scores[number - 1], expected)
        assert found.counts[number - 1] == mine.sum()
        mean = probabilities[mine].mean(dtype=np.float64)
        assert found.mean_probabilities[number - 1] == pytest.approx(mean)


def test_histograms_do_not_depend_on_order_or_size_of_shards(
    particles: Particles, rng: np.random.Generator
) -> None:
    one = gathered(particles, [np.arange(3000)])
    other = gathered(particles, np.array_split(rng.permutation(3000), 50))
    np.testing.assert_array_equal(one.probabilities, other.probabilities)
    np.testing.assert_array_equal(one.scores, other.scores)
    assert one.reach == other.reach


def test_what_was_not_classified_has_no_score() -> None:
    found = Confidences(2)
    found.add(np.array([1, 2]), np.array([1.0, 0.0]), np.array([1.0, np.nan]))
    found.add(np.array([1]), np.array([0.5]), None)
    assert found.counts.tolist() == [2, 1]
    assert found.scores.sum(axis=1).tolist() == [1, 0]
    assert found.probabilities[0, -1] == 1  # a probability of 1 is within the last bin


def kept(shards: list[np.ndarray], numbers: np.ndarray, values: np.ndarray) -> Samples:
    found = Samples(CLASSES)
    for rows in shards:
        found.add(rows, numbers[rows], values[rows])
    return found


def test_samples_are_the_same_in_any_order(rng: np.random.Generator) -> None:
    rows = np.arange(20_000)
    numbers = np.where(rows % 1000 == 0, 2, 1 + 2 * (rows % 2))  # 20 of class 2, none of class 4
    values = rng.random(20_000).astype(np.float32)
    one = kept(np.array_split(rows, 9), numbers, values)
    other = kept(np.array_split(rng.permutation(rows), 61), numbers, values)
    for number, count in ((1, KEPT), (2, 20), (3, KEPT), (4, 0)):
        chosen, probabilities = one.of(number)
        assert len(set(chosen.tolist())) == count
        assert (numbers[chosen] == number).all()
        np.testing.assert_array_equal(probabilities, values[chosen])
        assert (np.diff(probabilities) <= 0).all()  # the most probable first
        np.testing.assert_array_equal(chosen, other.of(number)[0])


def test_samples_come_from_everywhere() -> None:
    rows = np.arange(100_000)
    chosen, _ = kept([rows], np.ones_like(rows), np.ones(100_000)).of(1)
    parts = np.bincount(chosen // 25_000, minlength=4)
    assert parts.sum() == KEPT
    assert 30 < parts.min() <= parts.max() < 70  # 50 each, deviation 6


def test_a_tally_adds_up_where_particles_come_from() -> None:
    tally = Tally(3)
    tally.add(np.array(["a", "b", "a"], object), np.array([1, 3, 1]))
    tally.add(np.array(["b"], object), np.array([2]))
    assert {name: of.tolist() for name, of in tally.counts.items()} == {
        "a": [2, 0, 0],
        "b": [0, 1, 1],
    }


@pytest.mark.parametrize(
    ("ordered", "places"), [(200, [0, 66, 133, 199]), (3, [0, 1, 2]), (1, [0]), (0, [])]
)
def test_a_spread_reaches_from_first_to_last(ordered: int, places: list[int]) -> None:
    assert spread(ordered, 4).tolist() == places
