from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.subtomograms.volume_bodies import counting, mrc_bytes
from tomodistill.errors import InputError
from tomodistill.subtomograms.volumes import write_mrc
from tomodistill.tomograms.boxes import BoxFile, box_files, listed_boxes, read_boxes
from tomodistill.tomograms.files import open_volume


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Boxes one by one, stacks of them, and files that are none."""
    for number in (1, 2, 10):
        write_mrc(tmp_path / f"box_{number}.mrc", counting() + number, 10.5, "bright")
    stack = np.stack([counting() + number for number in (20, 21, 22)])
    body = mrc_bytes(stack.reshape(9, 3, 3), ispg=401, mz=3)
    (tmp_path / "stack.mrcs").write_bytes(body)
    np.save(tmp_path / "stack.npy", stack + 10)
    with h5py.File(tmp_path / "stack.h5", "w") as file:
        file["boxes"] = stack + 20
    (tmp_path / "notes.txt").write_text("no box")
    return tmp_path


def names(*images: str) -> np.ndarray:
    return np.array(images, object)


def read(file: BoxFile, *positions: int) -> np.ndarray:
    with open_volume(file.path) as opened:
        return read_boxes(opened, np.array(positions), edge=file.edge)


def test_boxes_of_a_folder_in_natural_order(folder: Path) -> None:
    files = box_files(str(folder))
    assert [file.path.name for file in files] == [
        *("box_1.mrc", "box_2.mrc", "box_10.mrc", "stack.h5", "stack.mrcs", "stack.npy")
    ]
    assert [file.count for file in files] == [1, 1, 1, 3, 3, 3]
    assert {file.edge for file in files} == {3}
    assert (files[0].voxel_spacing, files[0].contrast) == (pytest.approx(10.5), "bright")
    np.testing.assert_array_equal(read(files[2], 0)[0], counting() + 10)
    for file, first in zip(files[3:], (40, 20, 30), strict=True):
        found = read(file, 2, 0, 2)
        np.testing.assert_array_equal(found[:, 0, 0, 0], [first + 2, first, first + 2])


def test_patterns_and_files_by_comma(folder: Path) -> None:
    files = box_files(f"{folder}/stack.npy, {folder}/box_*.mrc")
    assert [file.path.name for file in files] == [
        *("stack.npy", "box_1.mrc", "box_2.mrc", "box_10.mrc")
    ]


def test_listed_names_count_from_one_and_from_the_lists_project(folder: Path) -> None:
    images = names("000003@stack.mrcs", "box_2.mrc", "1@stack.mrcs", "1@box_1.mrc")
    boxes = listed_boxes(images, beside=folder / "job" / "deeper")
    assert [boxes.files[i].path.name for i in boxes.file] == [
        *("stack.mrcs", "box_2.mrc", "stack.mrcs", "box_1.mrc")
    ]
    assert boxes.position.tolist() == [2, 0, 0, 0]
    assert len(boxes.files) == 3


def test_names_of_folders_may_have_an_at(folder: Path) -> None:
    (folder / "stack.mrcs").rename(folder / "me@lab.mrcs")
    boxes = listed_boxes(names(f"3@{folder}/me@lab.mrcs"), beside=folder)
    assert boxes.position.tolist() == [2]


@pytest.mark.parametrize("image", ["4@stack.mrcs", "0@stack.mrcs", "stack.mrcs"])
def test_positions_that_are_not_in_a_stack(folder: Path, image: str) -> None:
    with pytest.raises(InputError) as caught:
        listed_boxes(names("1@stack.mrcs", image), beside=folder)
    assert "3 boxes" in caught.value.expected
    assert caught.value.found == image


def test_missing_files_are_named_and_counted(folder: Path) -> None:
    missing = [f"box_{number}.mrc" for number in range(3, 10)]
    with pytest.raises(InputError) as caught:
        listed_boxes(names("box_1.mrc", *missing), beside=folder)
    assert "box_3.mrc, box_4.mrc, box_5.mrc, box_6.mrc, box_7.mrc and 2 more" in caught.value.found


def test_stacks_of_images_are_told_what_to_extract(folder: Path) -> None:
    (folder / "1_stack2d.mrcs").write_bytes(mrc_bytes(np.zeros((5, 3, 3)), ispg=0))
    with pytest.raises(InputError) as caught:
        listed_boxes(names("1_stack2d.mrcs"), beside=folder)
    assert caught.value.found.startswith("a stack of 5 2-D images")
    assert "tomograms=" in caught.value.todo


def test_what_is_no_cube_is_refused(folder: Path) -> None:
    np.save(folder / "slab.npy", np.zeros((3, 4, 4)))
    with pytest.raises(InputError) as caught:
        box_files(str(folder / "slab.npy"))
    assert "shape (3, 4, 4)" in caught.value.found


def test_a_file_that_changed_is_refused(folder: Path) -> None:
    (file,) = box_files(str(folder / "stack.npy"))
    np.save(file.path, np.zeros((2, 3, 3, 3)))
    with pytest.raises(InputError, match="changed"):
        read(file, 2)


def test_a_box_may_be_asked_for_twice(folder: Path) -> None:
    (file,) = box_files(str(folder / "box_2.mrc"))
    np.testing.assert_array_equal(read(file, 0, 0), [counting() + 2] * 2)
