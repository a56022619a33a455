import numpy as np
import pytest

from tomodistill.distillation.batches import Batches
from tomodistill.subtomograms.views import VIEWS, view


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
    rng = None if seed is None else np.random.default_rng(seed)
    return Batches(volumes, targets(len(views)), views=views, batch_size=3, rng=rng)


def epoch(data: Batches) -> list[tuple[np.ndarray, np.ndarray]]:
    return [data[index] for index in range(len(data))]


def items(data: Batches) -> list[int]:
    return [int(item) for _, y in epoch(data) for item in y[:, 0, 0]]


def test_every_item_once_in_every_epoch(volumes: np.ndarray) -> None:
    data = batches(volumes, *VIEWS)
    orders = []
    for _ in range(3):
        assert [len(x) for x, _ in epoch(data)] == [3, 3, 1]
        orders.append(items(data))
        data.on_epoch_end()
    assert all(sorted(order) == list(range(7)) for order in orders)
    assert len(set(map(tuple, orders))) == 3


def test_the_same_seed_gives_the_same_epochs(volumes: np.ndarray) -> None:
    one, same, other = (batches(volumes, *VIEWS, seed=seed) for seed in (1, 1, 2))
    for _ in range(2):
        for (x, y), (same_x, same_y) in zip(epoch(one), epoch(same), strict=True):
            np.testing.assert_array_equal(x, same_x)
            np.testing.assert_array_equal(y, same_y)
        assert items(one) != items(other)
        for data in (one, same, other):
            data.on_epoch_end()


def test_targets_are_those_of_the_view_that_is_shown(volumes: np.ndarray) -> None:
    data, names, shown = batches(volumes, *VIEWS), tuple(VIEWS), set()
    for _ in range(20):
        for x, y in epoch(data):
            rows, chosen = y[:, 0, 0].astype(int), int(y[0, 0, 1])
            assert x.shape == (len(rows), 3, 3, 3, 1)
            np.testing.assert_array_equal(x[..., 0], view(volumes[rows], names[chosen]))
            shown.add(chosen)
        data.on_epoch_end()
    assert shown == {0, 1, 2, 3}


def test_without_rng_the_order_is_that_of_the_data(volumes: np.ndarray) -> None:
    data = batches(volumes, "identity", seed=None)
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate([x for x, _ in epoch(data)])[..., 0], volumes)
        assert items(data) == list(range(7))
        data.on_epoch_end()
