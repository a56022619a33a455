import numpy as np
import pytest

from tomodistill.ingestion.splits import draw_splits


def ids(count: int) -> list[str]:
    return [f"box_{row}" for row in range(count)]


def shares(splits: np.ndarray) -> list[int]:
    return [int((splits == part).sum()) for part in ("train", "val", "test")]


@pytest.mark.parametrize(
    ("count", "expected"), [(3, [1, 1, 1]), (4, [2, 1, 1]), (100, [64, 16, 20]), (11, [7, 2, 2])]
)
def test_each_class_has_its_shares(count: int, expected: list[int]) -> None:
    labels = np.arange(2 * count) % 2
    drawn = draw_splits(ids=ids(2 * count), labels=labels, tomograms=[""] * 2 * count, seed=0)
    assert not drawn.by_tomogram
    for label in (0, 1):
        assert shares(drawn.of_items[labels == label]) == expected


def test_order_does_not_matter_and_another_seed_draws_others() -> None:
    names, labels, none = ids(60), np.zeros(60, np.int64), [""] * 60
    first = draw_splits(ids=names, labels=labels, tomograms=none, seed=0).of_items
    turned = draw_splits(ids=names[::-1], labels=labels, tomograms=none, seed=0).of_items
    assert (turned[::-1] == first).all()
    assert (draw_splits(ids=names, labels=labels, tomograms=none, seed=1).of_items != first).any()


def test_whole_tomograms_are_drawn_where_every_split_gets_every_class() -> None:
    rng = np.random.default_rng(0)
    tomograms, labels = rng.integers(20, size=1000), rng.integers(3, size=1000)
    names = [f"TS_{number}" for number in tomograms]
    drawn = draw_splits(ids=ids(1000), labels=labels, tomograms=names, seed=0)
    assert drawn.by_tomogram
    of_tomogram = {name: set[str]() for name in names}
    for name, split in zip(names, drawn.of_items, strict=True):
        of_tomogram[name].add(split)
    assert all(len(splits) == 1 for splits in of_tomogram.values())
    for label in range(3):
        found = np.array(shares(drawn.of_items[labels == label])) / (labels == label).sum()
        np.testing.assert_allclose(found, [0.64, 0.16, 0.20], atol=0.08)


@pytest.mark.parametrize(
    "tomograms",
    [
        ["a", "b"] * 6,  # too few
        ["a", "b", "c", ""] * 3,  # one is not known
        ["a", "b", "c", "c"] * 3,  # where the second class is in one of them alone
    ],
)
def test_else_items_are_drawn_one_by_one(tomograms: list[str]) -> None:
    labels = np.array([0, 0, 0, 1] * 3)
    drawn = draw_splits(ids=ids(12), labels=labels, tomograms=tomograms, seed=0)
    assert not drawn.by_tomogram
    assert set(drawn.of_items[labels == 1]) == {"train", "val", "test"}


def test_three_tomograms_are_enough_and_items_without_a_label_are_for_training() -> None:
    labels = np.array([0, 1, -1] * 4)
    tomograms = [name for name in "abcc" for _ in range(3)]
    drawn = draw_splits(ids=ids(12), labels=labels, tomograms=tomograms, seed=0)
    assert drawn.by_tomogram
    assert set(drawn.of_items[labels == -1]) == {"train"}
    assert set(drawn.of_items[labels == 0]) == {"train", "val", "test"}
