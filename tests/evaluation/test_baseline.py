import numpy as np
import pytest

from tomodistill.evaluation.baseline import power_spectrum_accuracy, radial_power

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


def test_constant_volumes_are_no_error() -> None:
    volumes = np.zeros((4, BOX, BOX, BOX), np.float32)
    assert accuracy_of(volumes, np.array([0, 1, 0, 1])) in (0.0, 0.5, 1.0)
