import numpy as np
import pytest

from tomodistill.evaluation.baseline import (
    Given,
    given_away,
    power_spectrum_accuracy,
    radial_power,
    variance_and_power,
)

BOX = 12


@pytest.mark.parametrize("k", [(3, 0, 0), (0, 4, 0), (0, 0, 6), (2, 2, 1)])
def test_power_of_a_wave_lies_in_its_shell(k: tuple[int, int, int]) -> None:
    phase = 2 * np.pi * np.tensordot(k, np.indices((BOX,) * 3), 1) / BOX
    power = radial_power(np.cos(phase).astype(np.float32)[None])
    assert power.shape == (1, BOX // 2 + 1)
    shell = round(float(np.linalg.norm(k)))
    frequency = np.fft.fftfreq(BOX, 1 / BOX)
    radius = np.linalg.norm(np.meshgrid(frequency, frequency, frequency), axis=0)
    voxels = (np.rint(radius) == shell).sum()
    nyquist = 6 in k  # there both halves of the wave fall on one voxel
    expected = BOX**6 / (1 if nyquist else 2) / voxels
    assert power[0, shell] == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(np.delete(power[0], shell), 0, atol=1e-4 * expected)


def test_white_noise_has_the_same_power_in_every_shell(rng: np.random.Generator) -> None:
    power = radial_power(rng.normal(size=(400, BOX, BOX, BOX)).astype(np.float32)).mean(axis=0)
    np.testing.assert_allclose(power, BOX**3, rtol=0.15)


def accuracy_of(volumes: np.ndarray, labels: np.ndarray) -> float:
    half = len(volumes) // 2
    return power_spectrum_accuracy(
        train_volumes=volumes[:half],
        train_labels=labels[:half],
        test_volumes=volumes[half:],
        test_labels=labels[half:],
    )


def ball(radius: float) -> np.ndarray:
    distance = np.linalg.norm(np.indices((BOX,) * 3) - (BOX - 1) / 2, axis=0)
    return (distance < radius).astype(np.float32)


def test_sizes_alone_give_the_class_away(rng: np.random.Generator) -> None:
    labels = rng.integers(3, size=120)
    balls = np.stack([ball(radius) for radius in (2.0, 3.5, 5.0)])
    volumes = balls[labels] + rng.normal(0, 0.5, (120, BOX, BOX, BOX))
    assert accuracy_of(volumes.astype(np.float32), labels) > 0.95


def test_shapes_of_equal_power_stay_at_chance(rng: np.random.Generator) -> None:
    # the three classes are one shape along z, y and x: a network tells them apart, power does not
    labels = rng.integers(3, size=600)
    rod = rng.normal(size=(BOX, BOX, BOX))
    turned = np.stack([rod, rod.transpose(1, 2, 0), rod.transpose(2, 0, 1)])
    volumes = turned[labels] + rng.normal(0, 1.0, (600, BOX, BOX, BOX))
    accuracy = accuracy_of(volumes.astype(np.float32), labels)
    assert accuracy == pytest.approx(1 / 3, abs=0.09)  # 3 standard errors of 300 items: 0.08


def test_the_mean_of_a_volume_gives_nothing_away(rng: np.random.Generator) -> None:
    labels = rng.integers(3, size=300)
    volumes = rng.normal(size=(300, BOX, BOX, BOX)) + 10 * labels[:, None, None, None]
    assert accuracy_of(volumes.astype(np.float32), labels) == pytest.approx(1 / 3, abs=0.12)


def test_of_constant_volumes_the_most_frequent_class_is_learned() -> None:
    volumes = np.ones((12, BOX, BOX, BOX), np.float32)
    labels = np.array([1, 1, 0, 2, 1, 1, 0, 0, 0, 2, 1, 2])  # the later half is asked
    assert accuracy_of(volumes, labels) == pytest.approx(1 / 6)


def test_variance_and_power_are_logarithms_that_know_no_mean(rng: np.random.Generator) -> None:
    volumes = rng.normal(size=(3, BOX, BOX, BOX)).astype(np.float32)
    features = variance_and_power(volumes)
    assert features.shape == (3, 1 + BOX // 2)
    np.testing.assert_allclose(features[:, 0], np.log(volumes.var(axis=(1, 2, 3))), rtol=1e-4)
    np.testing.assert_allclose(features[:, 1:], np.log(radial_power(volumes)[:, 1:]))
    np.testing.assert_allclose(variance_and_power(volumes + 5), features, atol=1e-4)
    np.testing.assert_allclose(variance_and_power(3 * volumes), features + np.log(9), atol=1e-5)
    assert np.isfinite(variance_and_power(np.zeros((1, BOX, BOX, BOX), np.float32))).all()


def given(volumes: np.ndarray, chosen: np.ndarray) -> Given:
    features, half = variance_and_power(volumes.astype(np.float32)), len(volumes) // 2
    return given_away(
        train_features=features[:half],
        train_is=chosen[:half],
        val_features=features[half:],
        val_is=chosen[half:],
    )


def one_in_eight(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.permutation(np.arange(count) % 8 == 0)


def test_noise_of_another_variance_gives_a_class_away(rng: np.random.Generator) -> None:
    none = one_in_eight(rng, 400)
    level = np.where(none, 0.9, 1.0)[:, None, None, None]
    found = given(level * rng.normal(size=(400, BOX, BOX, BOX)), none)
    assert found.balanced_accuracy > 0.95
    assert found.auc > 0.98


def test_noise_of_another_colour_gives_a_class_away(rng: np.random.Generator) -> None:
    none = one_in_eight(rng, 400)
    white = rng.normal(size=(400, BOX, BOX, BOX))
    smooth = white + np.roll(white, 1, axis=3)
    same_variance = smooth / smooth.std() * white.std()
    found = given(np.where(none[:, None, None, None], same_variance, white), none)
    assert found.auc > 0.99


def test_a_class_of_the_same_power_stays_at_chance(rng: np.random.Generator) -> None:
    none = one_in_eight(rng, 1600)
    rod = rng.normal(size=(BOX, BOX, BOX))
    turned = np.where(none[:, None, None, None], rod, rod.transpose(2, 1, 0))
    found = given(turned + rng.normal(size=(1600, BOX, BOX, BOX)), none)
    # standard errors with 100 of 800 items: 0.03, of the balanced accuracy and of the area
    assert found.balanced_accuracy == pytest.approx(0.5, abs=0.09)
    assert found.auc == pytest.approx(0.5, abs=0.09)


def test_a_rare_class_counts_as_much_as_the_rest(rng: np.random.Generator) -> None:
    """Unbalanced, "never" would be right for seven of eight items, and half right balanced."""
    none = one_in_eight(rng, 800)
    level = np.where(none, 0.98, 1.0)[:, None, None, None]  # variances overlap
    found = given(level * rng.normal(size=(800, BOX, BOX, BOX)), none)
    assert 0.6 < found.balanced_accuracy < 0.9
    assert found.auc > found.balanced_accuracy
