from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.processes import stop_after
from tomodistill.errors import InputError
from tomodistill.subtomograms import mixing, row_file
from tomodistill.subtomograms.dataset import SetHeader, SubtomogramSet, write_set
from tomodistill.subtomograms.items import Item
from tomodistill.subtomograms.mixing import (
    TrainingData,
    open_parts,
    rows_of_sources,
    write_mixed_set,
)

NAMES = ("proteasome", "virus")  # of the other set: the first of them is in both
Write = Callable[..., SubtomogramSet]


@pytest.fixture
def other(header: SetHeader, items: list[Item], tmp_path: Path) -> Write:
    """A set of six others, labelled 0 and 1 in turn, the last one unlabelled."""

    def written(name: str = "other", ids: str = "other", **changes: object) -> SubtomogramSet:
        made = replace(
            header, **{"set_id": name, "class_names": NAMES, "contrast": "bright", **changes}
        )
        rng = np.random.default_rng(3)
        volumes = rng.normal(size=(6, *[made.box] * 3)).astype(np.float32)
        own = [
            replace(
                items[row],
                volume=volume,
                id=f"{ids}/{row}",
                label=row % 2 if row < 5 else -1,
                tilt_range=(np.nan, np.nan),
                snr=np.nan,
            )
            for row, volume in enumerate(volumes)
        ]
        return write_set(tmp_path / f"{name}.h5", made, lambda start: own[start:], len(own))

    return written


def mixed(tmp_path: Path, one: SubtomogramSet, two: SubtomogramSet) -> SubtomogramSet:
    return write_mixed_set(tmp_path / "mixed.h5", {"simulated": one, "mine": two})


def test_every_item_keeps_what_is_known_of_it(
    subtomogram_set: SubtomogramSet, other: Write, tmp_path: Path
) -> None:
    mine = other()
    both = mixed(tmp_path, subtomogram_set, mine)
    assert both.header.class_names == (*subtomogram_set.header.class_names, "virus")
    assert both.ids.tolist() == [*subtomogram_set.ids, *mine.ids]
    for name in ("split", "pose", "tilt_range", "snr", "seed", "defocus"):
        joined = np.concatenate([of.columns[name] for of in (subtomogram_set, mine)])
        np.testing.assert_array_equal(both.columns[name], joined)
    assert both.labels[:12].tolist() == subtomogram_set.labels.tolist()
    assert both.labels[12:].tolist() == [1, 3, 1, 3, 1, -1]
    assert both.tilt_range == subtomogram_set.tilt_range
    assert (both.header.handedness, both.header.contrast) == ("right", "dark")


def test_bright_particles_become_dark_beside_dark_ones(
    subtomogram_set: SubtomogramSet, other: Write, tmp_path: Path
) -> None:
    mine = other()
    volumes = mixed(tmp_path, subtomogram_set, mine).volumes(np.arange(18))
    np.testing.assert_array_equal(volumes[:12], subtomogram_set.volumes(np.arange(12)))
    np.testing.assert_array_equal(volumes[12:], -mine.volumes(np.arange(6)))


def test_sources_are_told_apart_in_every_split(
    subtomogram_set: SubtomogramSet, other: Write, tmp_path: Path
) -> None:
    mine = other()
    both = mixed(tmp_path, subtomogram_set, mine)
    parts = both.header.recipe["mixed"]
    assert [part["sha256"] for part in parts] == [subtomogram_set.digest, mine.digest]
    sources = rows_of_sources(both, "test")
    ids = {name: both.ids[both.rows("test")[rows]].tolist() for name, rows in sources.items()}
    assert ids == {"simulated": ["tiny/3", "tiny/7", "tiny/11"], "mine": ["other/3"]}
    assert rows_of_sources(subtomogram_set, "test") == {}


def test_ids_that_clash_bear_their_sets(
    subtomogram_set: SubtomogramSet, other: Write, tmp_path: Path
) -> None:
    both = mixed(tmp_path, subtomogram_set, other(ids="tiny"))
    assert both.ids[[0, 12]].tolist() == ["tiny/tiny/0", "other/tiny/0"]


def test_an_interrupted_mix_is_continued(
    subtomogram_set: SubtomogramSet,
    other: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine = other()
    whole = mixed(tmp_path, subtomogram_set, mine)
    monkeypatch.setattr(row_file, "BLOCK_BYTES", 4 * 4 * 8**3)
    parts = {"simulated": subtomogram_set, "mine": mine}
    monkeypatch.setattr(mixing, "Item", stop_after(14, Item))
    with pytest.raises(KeyboardInterrupt):
        write_mixed_set(tmp_path / "again.h5", parts)
    made: list[Item] = []
    monkeypatch.setattr(mixing, "Item", lambda **known: made.append(item := Item(**known)) or item)
    assert write_mixed_set(tmp_path / "again.h5", parts).digest == whole.digest
    assert made[0].id == "other/0"  # three blocks of four stood


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"box": 6}, "8 voxels at 10 Å as in .*tiny.h5; found 6 voxels at 10 Å in .*other.h5"),
        ({"voxel_spacing": 9.5}, "8 voxels at 10 Å as in .*; found 8 voxels at 9.5 Å"),
    ],
)
def test_other_voxels_are_refused(
    subtomogram_set: SubtomogramSet, other: Write, tmp_path: Path, changes: dict, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        mixed(tmp_path, subtomogram_set, other(**changes))


def test_an_item_of_both_is_refused_even_with_its_sign_changed(
    header: SetHeader, items: list[Item], subtomogram_set: SubtomogramSet, tmp_path: Path
) -> None:
    bright = replace(header, set_id="copy", contrast="bright")
    copy = replace(items[3], id="copy", volume=-items[3].volume, split="train")
    data = write_set(tmp_path / "copy.h5", bright, lambda start: [copy], 1)
    with pytest.raises(InputError, match=r"found copy of .*, which is tiny/3 of .*tiny\.h5"):
        mixed(tmp_path, subtomogram_set, data)


@pytest.mark.parametrize("text", ["", "simulated,", "a.h5,a.h5", "simulated, simulated"])
def test_what_names_nothing_or_twice_is_refused(text: str) -> None:
    with pytest.raises(InputError, match='data: "simulated", or paths of subtomogram sets'):
        TrainingData(text)


def test_parts_are_files_or_simulated(subtomogram_set: SubtomogramSet) -> None:
    data = TrainingData(f"simulated, {subtomogram_set.path}")
    assert data.has_simulated
    assert [of.digest for of in open_parts(data)] == [subtomogram_set.digest]
    with pytest.raises(InputError, match=r"no file on this machine: nowhere\.h5"):
        open_parts(TrainingData("nowhere.h5"))
