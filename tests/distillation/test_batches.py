from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import keras
import numpy as np
import pytest
from scipy.special import softmax

from tomodistill.distillation.batches import (
    Augmentation,
    Batches,
    legal_augmentation,
    mix_targets,
)
from tomodistill.distillation.config import StudentConfig, Training
from tomodistill.distillation.losses import hinton_loss
from tomodistill.errors import InputError
from tomodistill.simulation.wedge import measured_region
from tomodistill.subtomograms.augmentation import filtered_noise, measured_halves, unit_variance
from tomodistill.subtomograms.dataset import SubtomogramSet
from tomodistill.subtomograms.preprocessing import Preprocessing
from tomodistill.subtomograms.views import VIEWS, legal_views, view

WHITE = np.ones((1, 1, 1, 1), np.float32)
NOTHING = Augmentation(shift=0, noise=0.0, mix=0.0, temperature=5.0, measured=None, response=WHITE)


@pytest.fixture
def volumes(rng: np.random.Generator) -> np.ndarray:
    """(7, 3, 3, 3), told apart by any voxel's integer part and by their view."""
    offsets = 10 * np.arange(7)[:, None, None, None]
    return (rng.uniform(size=(7, 3, 3, 3)) + offsets).astype(np.float32)


def targets(views: int) -> np.ndarray:
    """(7, views, 2, 5) that name item and view."""
    made = np.zeros((7, views, 2, 5), np.float32)
    made[..., 0] = np.arange(7)[:, None, None]
    made[..., 1] = np.arange(views)[:, None]
    return made


def batches(volumes: np.ndarray, *views: str, seed: int | None = 0) -> Batches:
    return Batches(volumes, targets(len(views)), views=views, batch_size=3, seed=seed)


def augmented(
    volumes: np.ndarray, augmentation: Augmentation, *, seed: int | None = 0, readers: int = 0
) -> Batches:
    return Batches(
        volumes,
        targets(4),
        views=tuple(VIEWS),
        batch_size=3,
        seed=seed,
        augmentation=augmentation,
        readers=readers,
    )


def every(tilts: tuple[float, float], *, box: int, items: int) -> Augmentation:
    """Shift, noise and mix at once."""
    measured = measured_halves(box, [tilts] * items)
    return replace(NOTHING, shift=2, noise=0.5, mix=0.3, measured=measured)


def epoch(data: Batches) -> list[tuple[np.ndarray, np.ndarray]]:
    return [data[index] for index in range(len(data))]


def items(data: Batches) -> list[int]:
    return [int(item) for _, y in epoch(data) for item in y[:, 0, 0]]


def test_every_item_once_in_every_epoch(volumes: np.ndarray) -> None:
    data = batches(volumes, *VIEWS)
    orders = []
    for number in range(3):
        data.draw(number)
        assert [len(x) for x, _ in epoch(data)] == [3, 3, 1]
        orders.append(items(data))
    assert all(sorted(order) == list(range(7)) for order in orders)
    assert len(set(map(tuple, orders))) == 3


def test_the_same_seed_gives_the_same_epochs(volumes: np.ndarray) -> None:
    one, same, other = (batches(volumes, *VIEWS, seed=seed) for seed in (1, 1, 2))
    one.draw(7)  # what was drawn before has no part in it
    for number in range(2):
        for data in (one, same, other):
            data.draw(number)
        for (x, y), (same_x, same_y) in zip(epoch(one), epoch(same), strict=True):
            np.testing.assert_array_equal(x, same_x)
            np.testing.assert_array_equal(y, same_y)
        assert items(one) != items(other)


def test_targets_are_those_of_the_view_that_is_shown(volumes: np.ndarray) -> None:
    data, names, shown = batches(volumes, *VIEWS), tuple(VIEWS), set()
    for number in range(20):
        data.draw(number)
        for x, y in epoch(data):
            rows, chosen = y[:, 0, 0].astype(int), int(y[0, 0, 1])
            assert x.shape == (len(rows), 3, 3, 3, 1)
            np.testing.assert_array_equal(x[..., 0], view(volumes[rows], names[chosen]))
            shown.add(chosen)
    assert shown == {0, 1, 2, 3}


def test_without_seed_the_order_is_that_of_the_data(volumes: np.ndarray) -> None:
    data = batches(volumes, "identity", seed=None)
    for number in range(2):
        data.draw(number)
        np.testing.assert_array_equal(np.concatenate([x for x, _ in epoch(data)])[..., 0], volumes)
        assert items(data) == list(range(7))


def test_a_batch_is_the_same_by_whichever_worker(volumes: np.ndarray) -> None:
    data = augmented(volumes, every((-60.0, 60.0), box=3, items=7))
    orders = []
    for number in range(2):
        data.draw(number)
        first = epoch(data)
        with ThreadPoolExecutor(3) as workers:
            again = list(workers.map(data.__getitem__, (2, 0, 1, 2, 1, 0)))
        for index, (x, y) in zip((2, 0, 1, 2, 1, 0), again, strict=True):
            np.testing.assert_array_equal(x, first[index][0])
            np.testing.assert_array_equal(y, first[index][1])
        orders.append(first)
    assert not any(
        np.allclose(x, other) for (x, _), (other, _) in zip(*orders, strict=True) if len(x) > 1
    )


def test_any_number_of_readers_trains_the_same_network(volumes: np.ndarray) -> None:
    losses = []
    for readers in (0, 1, 3):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1)])
        model.compile(loss=lambda y, x: (x[:, 0] - y[:, 0, 0]) ** 2)
        data = augmented(volumes, every((-60.0, 60.0), box=3, items=7), readers=readers)
        draw = keras.callbacks.LambdaCallback(on_epoch_begin=lambda n, logs, of=data: of.draw(n))
        fitted = model.fit(data, epochs=3, shuffle=False, verbose=0, callbacks=[draw])
        losses.append(fitted.history["loss"])
    assert losses[0] == losses[1] == losses[2]
    assert len(set(losses[0])) == 3


def test_what_is_off_leaves_order_and_views_as_they_were(volumes: np.ndarray) -> None:
    plain = batches(volumes, *VIEWS)
    same = augmented(volumes, NOTHING)
    for number in range(3):
        for data in (plain, same):
            data.draw(number)
        for (x, y), (same_x, same_y) in zip(epoch(plain), epoch(same), strict=True):
            np.testing.assert_array_equal(x, same_x)
            np.testing.assert_array_equal(y, same_y)


def test_without_seed_nothing_is_augmented(volumes: np.ndarray) -> None:
    data = augmented(volumes, every((-60.0, 60.0), box=3, items=7), seed=None)
    np.testing.assert_array_equal(np.concatenate([x for x, _ in epoch(data)])[..., 0], volumes)


@pytest.mark.parametrize("box", [12, 13])
@pytest.mark.parametrize("tilts", [(-60.0, 60.0), (-76.0, 47.0)])
def test_power_in_the_missing_wedge_does_not_grow(
    tilts: tuple[float, float], box: int, rng: np.random.Generator
) -> None:
    measured = measured_region(box, *tilts)
    padded = filtered_noise(measured_halves(2 * box, [tilts] * 64), rng)
    inside = slice(box // 2, box // 2 + box)
    crops = unit_variance(padded[:, inside, inside, inside])
    views = legal_views(tilts)
    data = Batches(
        crops,
        np.zeros((64, len(views), 2, 3), np.float32),
        views=views,
        batch_size=8,
        seed=5,
        augmentation=every(tilts, box=box, items=64),
    )

    def share(of: np.ndarray) -> float:
        power = np.abs(np.fft.fftn(of, axes=(1, 2, 3))) ** 2
        return float((power[:, ~measured].sum(1) / power.sum((1, 2, 3))).mean())

    shown = np.concatenate([x[..., 0] for x, _ in epoch(data)])
    assert shown.dtype == data[0][1].dtype == np.float32
    assert 0.02 < share(crops) < 0.1
    assert share(shown) == pytest.approx(share(crops) / 1.25, rel=0.05)  # noise of variance 1/4
    np.testing.assert_allclose(shown.std((1, 2, 3)), 1, rtol=1e-5)


def test_mixed_targets_are_the_mix_of_probabilities(rng: np.random.Generator) -> None:
    """Then the loss of a mix is that of both answers by their share, but for a constant."""
    first, second = rng.normal(0, 8, (2, 4, 2, 5)).astype(np.float32)
    share = np.array([0.5, 0.3, 0.1, 1e-9])
    mixed = mix_targets(first, second, share=share, temperature=2.0)
    of_first, of_second, of_mix = (softmax(of[:, 0] / 2, -1) for of in (first, second, mixed))
    by = share[:, None]
    np.testing.assert_allclose(of_mix, (1 - by) * of_first + by * of_second, atol=1e-6)
    np.testing.assert_allclose(mixed[:, 1], (1 - by) * first[:, 1] + by * second[:, 1], atol=1e-5)

    def excess(student: np.ndarray) -> np.ndarray:
        losses = [
            np.asarray(hinton_loss(teacher_logits=of, student_logits=student, temperature=2.0))
            for of in (mixed[:, 0], first[:, 0], second[:, 0])
        ]
        return losses[0] - (1 - share) * losses[1] - share * losses[2]

    students = rng.normal(size=(2, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(excess(students[0]), excess(students[1]), atol=1e-4)


def test_extreme_logits_mix_to_finite_ones() -> None:
    first, second = np.zeros((2, 1, 2, 2), np.float32)
    first[0, 0], second[0, 0] = (500, -500), (-500, 500)
    mixed = mix_targets(first, second, share=np.array([0.25]), temperature=0.5)
    np.testing.assert_allclose(softmax(mixed[0, 0] / 0.5), [0.75, 0.25], rtol=1e-4)


def test_what_a_configuration_asks_for(subtomogram_set: SubtomogramSet) -> None:
    header, tilts = subtomogram_set.header, subtomogram_set.columns["tilt_range"][:3]
    assert legal_augmentation(header, tilts, Training(), Preprocessing()) is None
    config = StudentConfig(augment_shift=2, augment_noise=0.1, temperature=3.0)
    made = legal_augmentation(header, tilts, config, Preprocessing())
    assert made is not None
    assert (made.shift, made.noise, made.mix, made.temperature) == (2, 0.1, 0, 3)
    assert made.measured is not None
    assert made.measured.shape == (3, 8, 1, 5)
    frequency = np.fft.rfftfreq(8, 10.0)  # the set's voxels are of 10 Å
    amplitude = made.response[0, 0, 0]
    assert amplitude[0] < 1e-5 * amplitude[1]
    wanted = np.exp2(-((40.0 * frequency) ** 2))  # the default low-pass
    np.testing.assert_allclose(amplitude[1:] / amplitude[1], wanted[1:] / wanted[1], rtol=1e-4)
    quiet = legal_augmentation(header, tilts, Training(augment_shift=1), Preprocessing())
    assert quiet is not None
    assert quiet.measured is None


def test_what_the_set_forbids_is_refused(subtomogram_set: SubtomogramSet) -> None:
    tilts = subtomogram_set.columns["tilt_range"]
    unknown = np.full((12, 2), np.nan)
    for ranges, config, message in (
        (tilts, Training(augment_mix=0.2), "one tilt range"),
        (unknown, Training(augment_mix=0.2), "one tilt range"),
        (unknown, Training(augment_noise=0.2), "tilt ranges in degrees"),
    ):
        with pytest.raises(InputError, match=message):
            legal_augmentation(subtomogram_set.header, ranges, config, Preprocessing())


def test_devices_share_each_batch_evenly(volumes: np.ndarray) -> None:
    """Of seven items one stays out, in each epoch another."""
    data, shown = batches(volumes, *VIEWS), set()
    data.devices = 3
    for number in range(9):
        data.draw(number)
        assert [len(x) for x, _ in epoch(data)] == [3, 3]
        shown |= set(items(data))
    assert shown == set(range(7))
