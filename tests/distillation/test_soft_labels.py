from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tomodistill.distillation.soft_labels import (
    SoftLabels,
    make_soft_labels,
    read_soft_labels,
    write_soft_labels,
)
from tomodistill.errors import InputError
from tomodistill.subtomograms.dataset import SubtomogramSet
from tomodistill.subtomograms.views import VIEWS, view

CLASSES = ("ribosome", "proteasome", "chaperonin")


def corners(volumes: np.ndarray) -> np.ndarray:
    """Stands for a teacher: three voxels that differ between subtomograms and between views."""
    return volumes[:, (0, 1, 2), 1, 3]


@pytest.fixture
def soft_labels(subtomogram_set: SubtomogramSet) -> SoftLabels:
    return make_soft_labels(
        subtomogram_set, corners, views=tuple(VIEWS), class_names=CLASSES, teacher_digest="7" * 64
    )


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


def test_blocks_do_not_matter(
    soft_labels: SoftLabels, subtomogram_set: SubtomogramSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tomodistill.distillation.soft_labels._BLOCK", 5)
    again = make_soft_labels(
        subtomogram_set, corners, views=tuple(VIEWS), class_names=CLASSES, teacher_digest="7" * 64
    )
    assert again.digest == soft_labels.digest


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
    with pytest.raises(InputError, match="chaperonin"):
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
    ],
)
def test_those_of_another_teacher_set_or_class_list_are_refused(
    soft_labels: SoftLabels, changes: dict[str, Any], words: str
) -> None:
    wanted = {"teacher": "7" * 64, "data": soft_labels.set_digest, "class_names": CLASSES}
    soft_labels.check(**wanted)
    with pytest.raises(InputError, match=words):
        replace(soft_labels, **changes).check(**wanted)


def test_round_trip(soft_labels: SoftLabels, tmp_path: Path) -> None:
    path = tmp_path / "new_folder" / "soft.h5"
    write_soft_labels(path, soft_labels)
    read = read_soft_labels(path)
    np.testing.assert_array_equal(read.logits, soft_labels.logits)
    assert read.logits.dtype == np.float32
    for name in ("ids", "views", "class_names", "teacher_digest", "set_digest", "digest"):
        assert getattr(read, name) == getattr(soft_labels, name), name
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "changes",
    [
        {"ids": tuple(f"other/{i}" for i in range(12))},
        {"views": ("identity", "y", "x", "z")},
        {"class_names": CLASSES[::-1]},
        {"teacher_digest": "8" * 64},
        {"set_digest": "8" * 64},
        {"logits": np.ones((12, 4, 3), np.float32)},
        {"class_names": ("x", *CLASSES), "views": ("identity", "y", "z")},
    ],
)
def test_digest_covers_everything(soft_labels: SoftLabels, changes: dict[str, Any]) -> None:
    assert replace(soft_labels, **changes).digest != soft_labels.digest


def test_a_changed_file_is_refused(soft_labels: SoftLabels, tmp_path: Path) -> None:
    path = tmp_path / "soft.h5"
    write_soft_labels(path, soft_labels)
    with h5py.File(path, "a") as file:
        file["logits"][3, 0, 1] += 1e-3
    with pytest.raises(InputError, match="sha256"):
        read_soft_labels(path)


def test_other_files_are_refused(subtomogram_set: SubtomogramSet, tmp_path: Path) -> None:
    text = tmp_path / "soft.h5"
    text.write_text("not HDF5")
    for path in (text, tmp_path / "none.h5", subtomogram_set.path):
        with pytest.raises(InputError, match="soft-label file"):
            read_soft_labels(path)
