"""From folders of boxes and particle lists to sets, on boxes of a few voxels."""

from pathlib import Path

import numpy as np
import pytest
import zarr

from tests.processes import stop_after
from tomodistill.errors import InputError
from tomodistill.ingestion import experimental
from tomodistill.ingestion.config import Ingestion
from tomodistill.ingestion.experimental import choose_classes, label, write_experimental_set
from tomodistill.ingestion.sources import find_subtomograms
from tomodistill.ingestion.survey import survey, voxels_of
from tomodistill.subtomograms import row_file
from tomodistill.subtomograms.dataset import SubtomogramSet
from tomodistill.subtomograms.volumes import write_mrc

BOX, SPACING = 8, 12.5
GIVEN = {"contrast": "bright"}
STATED = {"file_spacing": SPACING}  # NumPy's files say none


@pytest.fixture
def boxes(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(12, BOX, BOX, BOX)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path, boxes: np.ndarray) -> Path:
    """Five ribosomes in files, five proteasomes in a stack, two boxes without a label."""
    for name in ("ribosome", "proteasome", "unlabelled"):
        (tmp_path / "mine" / name).mkdir(parents=True)
    for row, volume in enumerate(boxes[:5]):
        write_mrc(tmp_path / f"mine/ribosome/box_{row}.mrc", volume, SPACING)
    np.save(tmp_path / "mine/proteasome/stack.npy", boxes[5:10])
    np.save(tmp_path / "mine/unlabelled/rest.npy", boxes[10:])
    return tmp_path / "mine"


def ingested(particles: Path, **given: object) -> SubtomogramSet:
    config = Ingestion(particles=str(particles), **{**GIVEN, **given})  # type: ignore[arg-type]
    found = choose_classes(find_subtomograms(config), config)
    voxels = voxels_of(found, config)
    seen = survey(found, voxels, config)
    labelled = label(seen.usable, config)
    return write_experimental_set(particles.parent / "set.h5", labelled, seen, voxels, config)


def by_id(data: SubtomogramSet) -> dict[str, np.ndarray]:
    return dict(zip(data.ids.tolist(), data.volumes(np.arange(len(data.ids))), strict=True))


def test_a_folder_per_class_becomes_a_set(folder: Path, boxes: np.ndarray) -> None:
    data = ingested(folder, **STATED, tilt_range="-60,50")
    header, volumes = data.header, by_id(data)
    assert (header.class_names, header.box) == (("proteasome", "ribosome"), BOX)
    assert (header.voxel_spacing, header.contrast) == (SPACING, "bright")
    assert header.handedness == "unknown"
    assert np.bincount(data.labels + 1).tolist() == [2, 5, 5]
    assert set(data.columns["split"][data.labels < 0]) == {"train"}
    assert data.tilt_range == (-60, 50)
    assert np.isnan([*data.snr_range, *data.columns["pose"].ravel()]).all()
    np.testing.assert_array_equal(volumes["ribosome/box_3.mrc"], boxes[3])
    np.testing.assert_array_equal(volumes["2@proteasome/stack.npy"], boxes[6])
    np.testing.assert_array_equal(volumes["1@unlabelled/rest.npy"], boxes[10])
    for name in (0, 1):
        splits = data.columns["split"][data.labels == name].tolist()
        assert [splits.count(part) for part in ("train", "val", "test")] == [3, 1, 1]
    assert str(folder.parent) not in str(header.recipe)


def test_finer_and_larger_boxes_are_brought_to_what_is_asked(tmp_path: Path) -> None:
    """A wave of 100 Å, sampled every 5 Å, is the same wave sampled every 10 Å."""
    (tmp_path / "fine").mkdir()
    position = (np.arange(48) - 24) * 5.0  # Å from the middle
    wave = np.cos(2 * np.pi * position / 100)
    volume = np.broadcast_to(wave, (48, 48, 48)) + 0.1 * wave[:, None, None]
    write_mrc(tmp_path / "fine/box.mrc", volume.astype(np.float32), 5.0)
    data = ingested(tmp_path / "fine", box=20, voxel_spacing=10.0)
    assert (data.header.box, data.header.voxel_spacing) == (20, 10.0)
    (stored,) = data.volumes(np.array([0]))
    coarse = np.cos(2 * np.pi * ((np.arange(20) - 9.5) * 10 - 2.5) / 100)
    expected = np.broadcast_to(coarse, (20, 20, 20)) + 0.1 * coarse[:, None, None]
    np.testing.assert_allclose(stored, expected / expected.std(), atol=1e-4)


def test_folders_within_a_class_are_tomograms(tmp_path: Path, rng: np.random.Generator) -> None:
    for name in ("a", "b"):
        for tomogram in range(6):
            inside = tmp_path / "mine" / name / f"TS_{tomogram}"
            inside.mkdir(parents=True)
            np.save(inside / "boxes.npy", rng.normal(size=(2, BOX, BOX, BOX)))
    data = ingested(tmp_path / "mine", voxel_spacing=10.0)
    assert data.header.voxel_spacing == 10.0
    assert data.header.recipe["split_by"] == "tomogram"
    of_tomogram = {
        (id.split("/")[1], split) for id, split in zip(data.ids, data.columns["split"], strict=True)
    }
    assert len(of_tomogram) == 6
    for name in ("README.txt", "._boxes.npy"):  # the second as macOS writes them
        (tmp_path / "mine/a" / name).touch()
    assert ingested(tmp_path / "mine", voxel_spacing=10.0).digest == data.digest
    (tmp_path / "mine/a/TS_0/best").mkdir()
    with pytest.raises(InputError, match=r"deeper ones: .*a/TS_0/best"):
        ingested(tmp_path / "mine", voxel_spacing=10.0)


def test_boxes_of_one_name_in_two_folders_are_told_apart(folder: Path, boxes: np.ndarray) -> None:
    write_mrc(folder / "unlabelled/box_0.mrc", boxes[11], SPACING)
    both = [f"{folder}/{name}/box_0.mrc" for name in ("ribosome", "unlabelled")]
    config = Ingestion(particles=", ".join(both), **GIVEN)
    ids = find_subtomograms(config).ids.tolist()
    assert ids == ["ribosome/box_0.mrc", "unlabelled/box_0.mrc"]


def test_what_cannot_be_used_is_left_out_and_told(folder: Path, boxes: np.ndarray) -> None:
    spoilt = boxes[:3].copy()
    spoilt[1] = 4.0
    spoilt[2, 0, 0, 0] = np.nan
    np.save(folder / "ribosome/more.npy", spoilt)  # the first was there before
    config = Ingestion(particles=str(folder), **GIVEN, **STATED)
    found = find_subtomograms(config)
    seen = survey(found, voxels_of(found, config), config)
    assert seen.left_out == {
        "constant": ["2@ribosome/more.npy"],
        "not finite": ["3@ribosome/more.npy"],
        "the same as others": ["1@ribosome/more.npy"],
    }
    assert len(seen.usable) == 12


@pytest.mark.parametrize(("sign", "expected"), [(-1, "dark"), (1, "bright")])
def test_contrast_is_voted_where_nothing_states_it(
    tmp_path: Path, rng: np.random.Generator, sign: int, expected: str
) -> None:
    distance = np.linalg.norm(np.indices((24, 24, 24)) - 12, axis=0)
    boxes = sign * 3.0 * (distance < 5) + rng.normal(size=(130, 24, 24, 24))
    boxes[::2] = 0.0  # every second one is asked, of those that can be used
    (tmp_path / "mine").mkdir()
    np.save(tmp_path / "mine/boxes.npy", boxes.astype(np.float32))
    data = ingested(tmp_path / "mine", contrast="auto", voxel_spacing=10.0)
    assert data.header.contrast == expected
    assert "by vote: " in data.header.recipe["contrast_from"]


def test_an_interrupted_set_is_continued(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = ingested(folder, **STATED).digest
    (folder.parent / "set.h5").unlink()
    monkeypatch.setattr(row_file, "BLOCK_BYTES", 2 * 4 * BOX**3)
    monkeypatch.setattr(experimental, "Item", stop_after(7, experimental.Item))
    with pytest.raises(KeyboardInterrupt):
        ingested(folder, **STATED)
    assert (folder.parent / "set.h5.unfinished").exists()
    monkeypatch.undo()
    assert ingested(folder, **STATED).digest == digest


def test_sets_of_other_boxes_are_told_apart_though_all_their_names_are_the_same(
    folder: Path, boxes: np.ndarray
) -> None:
    first = ingested(folder, **STATED)
    first.path.unlink()
    np.save(folder / "proteasome/stack.npy", boxes[5:10] + 1)
    second = ingested(folder, **STATED)
    assert second.ids.tolist() == first.ids.tolist()
    assert second.header.set_id != first.header.set_id


@pytest.mark.parametrize(
    ("others", "words"),
    [
        (("1", "class_1"), "found 1, named class_1, class_1, named class_1"),
        (("unknown", "virus"), "found unknown, named unknown"),
    ],
)
def test_names_that_do_not_tell_classes_apart_are_refused(
    folder: Path, others: tuple[str, str], words: str
) -> None:
    for name, other in zip(("proteasome", "ribosome"), others, strict=True):
        (folder / name).rename(folder / other)
    with pytest.raises(InputError, match=words):
        ingested(folder, **STATED)


def test_a_damaged_chunk_is_told_by_its_file(tmp_path: Path, boxes: np.ndarray) -> None:
    zarr.save(tmp_path / "boxes.zarr", boxes)
    (chunk,) = (tmp_path / "boxes.zarr/c").rglob("0/0/0/0")
    chunk.write_bytes(chunk.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"boxes\.zarr"):
        ingested(tmp_path / "boxes.zarr", **STATED)


def test_classes_are_named_chosen_and_ordered_by_hand(folder: Path) -> None:
    (folder / "proteasome").rename(folder / "1")
    (folder / "ribosome").rename(folder / "2")
    assert ingested(folder, **STATED).header.class_names == ("class_1", "class_2")
    data = ingested(folder, **STATED, class_names="2:ribosome")
    assert (data.header.class_names, len(data.ids)) == (("ribosome",), 7)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"class_names": "3:virus"}, "none called 3; there are proteasome, ribosome"),
        ({"box": 10}, "at least 10 voxels of 12.5 Å.* found 8 voxels"),
        ({"voxel_spacing": 10.0}, "a voxel spacing of 10.0 Å or less; found 12.5"),
        ({"class_names": "ribosome"}, "class_names: CLASS:NAME"),
        ({"tilt_range": "60,-60"}, "tilt_range: degrees, as -60,60"),
        ({"particles": "none"}, "particles: a folder with one folder per class"),
    ],
)
def test_what_cannot_be_is_refused(folder: Path, given: dict[str, object], words: str) -> None:
    particles = Path(str(given.pop("particles", folder)))
    with pytest.raises(InputError, match=words):
        ingested(particles, **STATED, **given)


def test_a_box_in_two_classes_and_a_class_of_two_are_refused(
    folder: Path, boxes: np.ndarray
) -> None:
    (folder / "virus").mkdir()
    np.save(folder / "virus/boxes.npy", boxes[:2] + 1)
    with pytest.raises(InputError, match=r"at least 3 usable .*; found 2 of virus"):
        ingested(folder, **STATED)
    np.save(folder / "virus/boxes.npy", boxes[:3])
    with pytest.raises(InputError, match=r"ribosome/box_0\.mrc in ribosome, which is 1@virus"):
        ingested(folder, **STATED)


def test_mixed_spacings_and_sizes_are_refused_by_name(folder: Path, boxes: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"none in some of them: .*rest\.npy\. Give file_spacing="):
        ingested(folder)
    write_mrc(folder / "proteasome/finer.mrc", boxes[0] + 1, 6.0)
    with pytest.raises(InputError, match=r"6 Å in .*finer\.mrc, 12\.5 Å in .*box_\d\.mrc"):
        ingested(folder)
    np.save(folder / "proteasome/finer.npy", boxes[0, 1:, 1:, 1:])
    with pytest.raises(InputError, match=r"boxes of one size: .*; found 7 voxels in .*finer\.npy"):
        ingested(folder, **STATED)


def test_headers_of_two_contrasts_need_a_word(tmp_path: Path, boxes: np.ndarray) -> None:
    (tmp_path / "mine").mkdir()
    for row, contrast in enumerate(("dark", "bright") * 6):
        write_mrc(tmp_path / f"mine/{row}.mrc", boxes[row], SPACING, contrast=contrast)
    with pytest.raises(InputError, match="dark in some headers and bright in others"):
        ingested(tmp_path / "mine", contrast="auto")
    data = ingested(tmp_path / "mine", contrast="dark")
    assert data.header.contrast == "dark"
    assert data.header.recipe["contrast_from"] == "as given"
