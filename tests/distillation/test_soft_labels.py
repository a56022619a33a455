from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from tomodistill.distillation.soft_labels import (
    SoftLabels,
    labels_of_views,
    make_soft_labels,
    mean_logits,
    read_soft_labels,
)
from tomodistill.errors import InputError
from tomodistill.subtomograms import row_file
from tomodistill.subtomograms.dataset import SubtomogramSet
from tomodistill.subtomograms.views import VIEWS, view

CLASSES = ("ribosome", "proteasome", "chaperonin")
BLOCK = 5  # subtomograms


def corners(volumes: np.ndarray) -> np.ndarray:
    """Stands for a teacher: three voxels that differ between subtomograms and between views."""
    return volumes[:, (0, 1, 2), 1, 3]


class Counting:
    """The same teacher; counts what it saw, and stops before its `stop`-th block of a view."""

    def __init__(self, stop: int | None = None) -> None:
        self.seen: list[int] = []
        self.stop = stop

    def __call__(self, volumes: np.ndarray) -> np.ndarray:
        if len(self.seen) == self.stop:
            raise KeyboardInterrupt
        self.seen.append(len(volumes))
        return corners(volumes)


def make(path: Path, data: SubtomogramSet, logits: Any = corners, **changes: Any) -> SoftLabels:
    named = {"views": tuple(VIEWS), "class_names": CLASSES, "teacher_digest": "7" * 64}
    return make_soft_labels(path, data, logits, **{**named, **changes})


@pytest.fixture
def small_blocks(subtomogram_set: SubtomogramSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_file, "BLOCK_BYTES", BLOCK * 4 * subtomogram_set.header.box**3)


@pytest.fixture
def soft_labels(subtomogram_set: SubtomogramSet, tmp_path: Path) -> SoftLabels:
    return make(tmp_path / "new_folder" / "soft.h5", subtomogram_set)


@pytest.fixture
def file(soft_labels: SoftLabels, tmp_path: Path) -> Path:
    (path,) = tmp_path.rglob("*.h5")
    return path


def test_logits_of_every_subtomogram_in_every_view(
    soft_labels: SoftLabels, subtomogram_set: SubtomogramSet
) -> None:
    volumes = subtomogram_set.volumes(np.arange(12))  # the last one has no label
    assert soft_labels.logits.shape == (12, 4, 3)
    assert soft_labels.logits.dtype == np.float32
    for column, name in enumerate(VIEWS):
        expected = corners(view(volumes, name))
        np.testing.assert_array_equal(soft_labels.logits[:, column], expected)
    assert soft_labels.set_digest == subtomogram_set.digest
    assert soft_labels.ids == tuple(subtomogram_set.ids)


def test_blocks_bound_what_is_seen_at_once_and_do_not_matter(
    soft_labels: SoftLabels, subtomogram_set: SubtomogramSet, tmp_path: Path, small_blocks: None
) -> None:
    teacher = Counting()
    again = make(tmp_path / "again.h5", subtomogram_set, teacher)
    assert teacher.seen == [5] * 4 + [5] * 4 + [2] * 4
    assert again.digest == soft_labels.digest
    np.testing.assert_array_equal(again.logits, soft_labels.logits)


def test_an_interrupted_pass_is_continued_at_its_block(
    soft_labels: SoftLabels, subtomogram_set: SubtomogramSet, tmp_path: Path, small_blocks: None
) -> None:
    path = tmp_path / "stopped.h5"
    with pytest.raises(KeyboardInterrupt):
        make(path, subtomogram_set, Counting(stop=6))  # in the second block
    assert not path.exists()
    rest = Counting()
    assert make(path, subtomogram_set, rest).digest == soft_labels.digest
    assert rest.seen == [5] * 4 + [2] * 4


@pytest.mark.parametrize(
    ("changes", "passes"), [({}, 0), ({"teacher_digest": "8" * 64}, 4), ({"views": ("y",)}, 1)]
)
def test_what_stands_is_not_made_again_unless_it_is_another(
    file: Path, subtomogram_set: SubtomogramSet, changes: dict[str, Any], passes: int
) -> None:
    teacher = Counting()
    made = make(file, subtomogram_set, teacher, **changes)
    assert teacher.seen == [12] * passes
    assert made == replace(made, **changes)


def test_joined_by_id_never_by_position(soft_labels: SoftLabels) -> None:
    joined = soft_labels.join(["tiny/9", "tiny/0", "tiny/9", "tiny/4"], class_names=CLASSES)
    np.testing.assert_array_equal(joined, soft_labels.logits[[9, 0, 9, 4]])


def test_an_id_without_soft_label_is_named(soft_labels: SoftLabels) -> None:
    with pytest.raises(InputError) as caught:
        soft_labels.join(["tiny/1", "other/1", "other/2"], class_names=CLASSES)
    assert caught.value.found == "none for 2 of them, other/1 for one"


@pytest.mark.parametrize("classes", [CLASSES[::-1], CLASSES[:2]])
def test_other_classes_or_another_order_are_refused(
    soft_labels: SoftLabels, classes: tuple[str, ...]
) -> None:
    with pytest.raises(InputError, match="of the classes"):
        soft_labels.join(["tiny/1"], class_names=classes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"teacher_digest": "8" * 64}, f"of the teacher {'7' * 64}; found those of {'8' * 64}"),
        ({"set_digest": "9" * 64}, f"of the set .*; found those of {'9' * 64}"),
        (
            {"class_names": ("ribosome", "clpp", "chaperonin")},
            "of the classes .*, proteasome, .*clpp",
        ),
        ({"views": ("identity",)}, "of the views identity, y, z, x; found those of identity"),
    ],
)
def test_those_of_another_teacher_set_class_list_or_view_are_refused(
    soft_labels: SoftLabels, changes: dict[str, Any], words: str
) -> None:
    wanted = {
        "teacher": "7" * 64,
        "data": soft_labels.set_digest,
        "class_names": CLASSES,
        "views": tuple(VIEWS),
    }
    soft_labels.check(**wanted)
    with pytest.raises(InputError, match=words):
        replace(soft_labels, **changes).check(**wanted)


def test_round_trip(soft_labels: SoftLabels, file: Path) -> None:
    read = read_soft_labels(file)
    np.testing.assert_array_equal(read.logits, soft_labels.logits)
    for name in ("ids", "views", "class_names", "teacher_digest", "set_digest", "digest"):
        assert getattr(read, name) == getattr(soft_labels, name), name
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    ("changes", "of_set"),
    [
        ({"views": ("identity", "y", "x", "z")}, {}),
        ({"class_names": CLASSES[::-1]}, {}),
        ({"teacher_digest": "8" * 64}, {}),
        ({"logits": lambda volumes: corners(volumes) + 1}, {}),
        ({"class_names": ("x", *CLASSES[1:])}, {}),
        ({}, {"digest": "8" * 64}),
        ({}, {"columns": {"id": np.array([f"other/{i}" for i in range(12)])}}),
    ],
)
def test_digest_covers_everything(
    soft_labels: SoftLabels,
    subtomogram_set: SubtomogramSet,
    tmp_path: Path,
    changes: dict[str, Any],
    of_set: dict[str, Any],
) -> None:
    other = make(tmp_path / "other.h5", replace(subtomogram_set, **of_set), **changes)
    assert other.digest != soft_labels.digest


@pytest.mark.parametrize("name", ["logits", "ids"])
def test_a_changed_file_is_refused(file: Path, name: str) -> None:
    with h5py.File(file, "r+") as opened:
        if name == "logits":
            opened[name][3, 0, 1] += 1e-3
        else:
            opened[name][3] = b"tiny/4"
    with pytest.raises(InputError, match="sha256"):
        read_soft_labels(file)


def test_a_file_that_was_not_finished_is_refused(
    subtomogram_set: SubtomogramSet, tmp_path: Path, small_blocks: None
) -> None:
    path = tmp_path / "stopped.h5"
    with pytest.raises(KeyboardInterrupt):
        make(path, subtomogram_set, Counting(stop=6))
    with pytest.raises(InputError, match="sha256"):
        read_soft_labels(path.with_name("stopped.h5.unfinished"))


def test_other_files_are_refused(subtomogram_set: SubtomogramSet, tmp_path: Path) -> None:
    text = tmp_path / "soft.h5"
    text.write_text("not HDF5")
    for path in (text, tmp_path / "none.h5", subtomogram_set.path):
        with pytest.raises(InputError, match="soft-label file"):
            read_soft_labels(path)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 5.0])
def test_a_mean_is_that_of_log_softmax_at_every_temperature(
    rng: np.random.Generator, temperature: float
) -> None:
    logits = rng.normal(scale=20, size=(3, 10, 2, 4)).astype(np.float32)
    expected = log_softmax(logits.astype(np.float64), axis=-1).mean(axis=0)
    mean = mean_logits(logits, axis=0)
    assert mean.shape == (10, 2, 4)
    np.testing.assert_allclose(
        softmax(mean / temperature, axis=-1), softmax(expected / temperature, axis=-1), atol=1e-5
    )
    constant = mean - expected
    np.testing.assert_allclose(constant, np.repeat(constant[..., :1], 4, axis=-1), atol=1e-5)


def test_an_ensemble_of_one_is_itself(soft_labels: SoftLabels) -> None:
    np.testing.assert_array_equal(mean_logits(soft_labels.logits[None], axis=0), soft_labels.logits)


def test_what_is_learned_in_each_view(soft_labels: SoftLabels) -> None:
    wanted = ("identity", "z", "y")  # the order is the student's
    learned = {
        name: labels_of_views(
            soft_labels.logits, given=soft_labels.views, wanted=wanted, label_views=name
        )
        for name in ("identity", "matching", "mean")
    }
    for column, name in enumerate(wanted):
        own = soft_labels.logits[:, list(VIEWS).index(name)]
        np.testing.assert_array_equal(learned["matching"][:, column], own)
        np.testing.assert_array_equal(learned["identity"][:, column], soft_labels.logits[:, 0])
        over_all = soft_labels.logits.mean(axis=1)
        np.testing.assert_allclose(learned["mean"][:, column], over_all, atol=1e-6)
