from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tomodistill.errors import InputError
from tomodistill.subtomograms import row_file
from tomodistill.subtomograms.contents import check_new, content_digests
from tomodistill.subtomograms.dataset import SetHeader, SubtomogramSet, write_set
from tomodistill.subtomograms.items import Item, Storage

Write = Callable[..., SubtomogramSet]


@pytest.fixture
def write(header: SetHeader, tmp_path: Path) -> Write:
    def written(name: str, items: Sequence[Item], storage: Storage = "float32") -> SubtomogramSet:
        path = tmp_path / f"{name}.h5"
        return write_set(path, header, lambda start: items[start:], len(items), storage=storage)

    return written


def fresh(items: Sequence[Item], seed: int) -> list[Item]:
    """Others, of which nothing is known."""
    rng = np.random.default_rng(seed)
    volumes = rng.normal(size=(len(items), *items[0].volume.shape)).astype(np.float32)
    return [
        replace(item, id=f"fresh/{row}", label=-1, volume=volume)
        for row, (item, volume) in enumerate(zip(items, volumes, strict=True))
    ]


def scaled(items: Sequence[Item], by: float) -> list[Item]:
    return [replace(item, volume=item.volume * np.float32(by)) for item in items]


@pytest.mark.parametrize("block", [1, 5, 100])
def test_every_item_has_its_own_and_blocks_do_not_matter(
    subtomogram_set: SubtomogramSet, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    expected = list(content_digests(subtomogram_set))
    monkeypatch.setattr(row_file, "BLOCK_BYTES", block * 4 * subtomogram_set.header.box**3)
    assert list(content_digests(subtomogram_set)) == expected
    assert len(set(expected)) == len(subtomogram_set.ids)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e4])
def test_a_float16_copy_is_known_again(write: Write, items: list[Item], scale: float) -> None:
    copies = [write(kind, scaled(items, scale), kind) for kind in ("float32", "float16")]
    of_float32, of_float16 = (list(content_digests(data)) for data in copies)
    assert of_float16 == of_float32


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_volumes_that_float16_cannot_hold_stay_apart(
    write: Write, items: list[Item], scale: float
) -> None:
    digests = list(content_digests(write("far", scaled(items, scale))))
    assert len(set(digests)) == len(items)


def test_what_is_new_passes(
    write: Write, subtomogram_set: SubtomogramSet, items: list[Item]
) -> None:
    check_new([], to=subtomogram_set)
    numbered_alike = [write("a", fresh(items, 1)), write("b", fresh(items, 2))]
    check_new(numbered_alike, to=subtomogram_set)


def test_another_set_may_have_numbered_its_items_alike(
    header: SetHeader, items: list[Item], subtomogram_set: SubtomogramSet, tmp_path: Path
) -> None:
    own = [replace(item, id=items[0].id) for item in fresh(items[:1], 1)]
    elsewhere = replace(header, set_id="elsewhere")
    check_new([write_set(tmp_path / "b.h5", elsewhere, lambda start: own, 1)], to=subtomogram_set)


@pytest.mark.parametrize(
    ("row", "part", "storage", "changes"),
    [
        (3, "test", "float32", {"id": "stranger", "label": -1, "split": "train"}),
        (2, "val", "float16", {"id": "stranger"}),
        (0, "train", "float32", {"id": "stranger"}),
        (7, "test", "float32", {"volume": np.ones((8, 8, 8), np.float32)}),  # its id says it
    ],
)
def test_an_item_of_the_set_is_named(
    write: Write,
    subtomogram_set: SubtomogramSet,
    items: list[Item],
    row: int,
    part: str,
    storage: Storage,
    changes: dict[str, object],
) -> None:
    copy = replace(items[row], **changes)
    data = write("given", [*fresh(items, 1), copy], storage)
    with pytest.raises(InputError) as caught:
        check_new([data], to=subtomogram_set)
    known = f"tiny/{row} in the {part} part of {subtomogram_set.path}"
    assert caught.value.found == f"{copy.id} of {data.path}, which is {known}"


def test_the_set_itself_and_one_given_twice_are_refused(
    write: Write, subtomogram_set: SubtomogramSet, items: list[Item]
) -> None:
    other = write("other", fresh(items, 1))
    with pytest.raises(InputError, match="each once"):
        check_new([subtomogram_set], to=subtomogram_set)
    with pytest.raises(InputError, match=r"fresh/0 of .*other\.h5, which is fresh/0"):
        check_new([other, other], to=subtomogram_set)
