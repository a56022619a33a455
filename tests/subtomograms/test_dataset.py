from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tomodistill.errors import InputError
from tomodistill.subtomograms.dataset import SetHeader, SubtomogramSet, open_set, write_set
from tomodistill.subtomograms.items import Item

ITEM_CHANGES: dict[str, Any] = {
    "volume": np.eye(8, dtype=np.float32)[None].repeat(8, 0),
    "label": 2,
    "id": "tiny/other",
    "split": "val",
    "pose": (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "seed": 1,
    "snr": 0.1,
    "tilt_range": (-50.0, 60.0),
    "defocus": 4.0,
}
HEADER_CHANGES: dict[str, Any] = {
    "set_id": "other",
    "class_names": ("ribosome", "chaperonin", "proteasome"),
    "voxel_spacing": 10.5,
    "contrast": "bright",
    "handedness": "unknown",
    "recipe": {"name": "noise", "seed": 8},
}


def written(path: Path, header: SetHeader, items: list[Item]) -> SubtomogramSet:
    return write_set(path, header, lambda start: items[start:], len(items))


def test_everything_comes_back(
    subtomogram_set: SubtomogramSet, header: SetHeader, items: list[Item]
) -> None:
    read = open_set(subtomogram_set.path, verify=True)
    assert read.header == header
    assert read.digest == subtomogram_set.digest
    stored = np.stack([item.volume for item in items])
    np.testing.assert_array_equal(read.volumes(np.arange(12)), stored)
    for name, column in read.columns.items():
        expected = [getattr(item, name) for item in items]
        np.testing.assert_array_equal(column, expected, err_msg=name)
    assert read.columns["seed"].dtype == np.uint64  # 2**63 is no int64
    assert read.storage == "float32"


def test_parts_and_ranges(subtomogram_set: SubtomogramSet, items: list[Item]) -> None:
    assert subtomogram_set.rows("train").tolist() == [0, 1, 4, 5, 8, 9]
    assert subtomogram_set.rows("val").tolist() == [2, 6, 10]
    assert subtomogram_set.rows("test").tolist() == [3, 7, 11]
    assert list(subtomogram_set.ids) == [item.id for item in items]
    assert subtomogram_set.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, -1]
    assert subtomogram_set.tilt_range == (-71.0, 60.0)
    assert subtomogram_set.snr_range == (0.5, 0.61)


def test_chosen_volumes(subtomogram_set: SubtomogramSet, items: list[Item]) -> None:
    chosen = subtomogram_set.volumes(np.array([3, 7, 11]))
    np.testing.assert_array_equal(chosen, [items[row].volume for row in (3, 7, 11)])
    np.testing.assert_array_equal(subtomogram_set.volumes(np.array([7, 3])), chosen[1::-1])
    assert subtomogram_set.volumes(np.array([], np.int64)).shape == (0, 8, 8, 8)


def test_same_content_has_the_same_digest(
    tmp_path: Path, subtomogram_set: SubtomogramSet, header: SetHeader, items: list[Item]
) -> None:
    assert written(tmp_path / "other_name.h5", header, items).digest == subtomogram_set.digest


def test_digest_changes_with_any_item_field(
    tmp_path: Path, subtomogram_set: SubtomogramSet, header: SetHeader, items: list[Item]
) -> None:
    assert set(ITEM_CHANGES) == set(vars(items[0]))
    for name, value in ITEM_CHANGES.items():
        changed = [replace(items[0], **{name: value}), *items[1:]]
        digest = written(tmp_path / f"{name}.h5", header, changed).digest
        assert digest != subtomogram_set.digest, name


def test_digest_changes_with_any_header_field(
    tmp_path: Path, subtomogram_set: SubtomogramSet, header: SetHeader, items: list[Item]
) -> None:
    assert set(HEADER_CHANGES) == set(asdict(header)) - {"box"}
    for name, value in HEADER_CHANGES.items():
        changed = replace(header, **{name: value})
        digest = written(tmp_path / f"{name}.h5", changed, items).digest
        assert digest != subtomogram_set.digest, name


@pytest.mark.parametrize(("count", "found"), [(13, "12"), (11, "more")])
def test_another_number_of_items_than_announced(
    tmp_path: Path, header: SetHeader, items: list[Item], count: int, found: str
) -> None:
    with pytest.raises(InputError) as caught:
        write_set(tmp_path / "set.h5", header, lambda start: items[start:], count)
    assert caught.value.expected.startswith(f"{count} subtomograms")
    assert caught.value.found == found
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"id": "tiny/1"}, "11"),
        ({"label": 3}, "3: tiny/0"),
        ({"label": -2}, "-2: tiny/0"),
        ({"split": "validation"}, "'validation': tiny/0"),
        ({"volume": np.zeros((1, 1, 1), np.float32)}, "shape (1, 1, 1): tiny/0"),
        ({"id": "é" * 129}, "é" * 129),
    ],
)
def test_items_that_fit_no_set(
    tmp_path: Path, header: SetHeader, items: list[Item], changes: dict[str, Any], found: str
) -> None:
    with pytest.raises(InputError) as caught:
        written(tmp_path / "set.h5", header, [replace(items[0], **changes), *items[1:]])
    assert caught.value.found == found
    assert list(tmp_path.iterdir()) == []


def test_an_id_of_any_letters_and_an_unknown_snr(
    tmp_path: Path, header: SetHeader, items: list[Item]
) -> None:
    changed = [replace(items[0], id="é" * 128, snr=np.nan), *items[1:]]
    read = written(tmp_path / "set.h5", header, changed)
    assert read.ids[0] == "é" * 128
    assert np.isnan(read.columns["snr"][0])
    assert read.snr_range == (0.51, 0.61)
    unknown = [replace(item, snr=np.nan) for item in items]
    assert np.isnan(written(tmp_path / "unknown.h5", header, unknown).snr_range).all()


def test_float16_costs_little_beside_any_noise(
    tmp_path: Path, header: SetHeader, items: list[Item], subtomogram_set: SubtomogramSet
) -> None:
    half = write_set(
        tmp_path / "half.h5", header, lambda start: items[start:], 12, storage="float16"
    )
    assert open_set(half.path, verify=True).storage == "float16"
    assert half.digest != subtomogram_set.digest
    saved = subtomogram_set.path.stat().st_size - half.path.stat().st_size
    assert saved == pytest.approx(12 * 8**3 * 2, rel=0.01)
    exact, rounded = (data.volumes(np.arange(12)) for data in (subtomogram_set, half))
    assert rounded.dtype == np.float32
    normal = np.abs(exact) > np.finfo(np.float16).tiny
    assert np.abs(rounded / exact - 1)[normal].max() <= 2**-11 < 5e-4
    assert np.var(rounded - exact) / np.var(exact) < 1e-7  # of white noise of deviation 1


@pytest.mark.parametrize("value", [65505.0, -65505.0, np.inf, 6e-5])
def test_values_that_float16_cannot_hold(
    tmp_path: Path, header: SetHeader, items: list[Item], value: float
) -> None:
    volume = np.full_like(items[0].volume, 1e-7)
    volume[1, 2, 3] = value
    large = [replace(items[0], volume=volume), *items[1:]]
    with pytest.raises(
        InputError, match=r"±6e-05 at least and ±65504.*tiny/0\. Store the set as f"
    ):
        write_set(tmp_path / "set.h5", header, lambda start: large[start:], 12, storage="float16")
    assert list(tmp_path.iterdir()) == []
    assert written(tmp_path / "set.h5", header, large).storage == "float32"


def test_a_set_of_before_is_read(tmp_path: Path) -> None:
    """Its columns were chunked, its text of any length; its digest was the same."""
    ramp = np.arange(64, dtype=np.float32).reshape(4, 4, 4)
    header = SetHeader("old", ("a", "b"), 4, 10.0, "dark", "right", {"name": "ramp"})
    items = [
        Item(ramp + i, i - 1, f"old/{i}", "train", (0.0, 0.0, 0.0, 1.0, 0.5, -0.5, i / 4), i, 0.5,
             (-60.0 - i, 60.0), 5.0)
        for i in (0, 1, 2)
    ]  # fmt: skip
    new = written(tmp_path / "new.h5", header, items)
    assert new.digest == "aaa856f65b1fdd5cf4e05c12d3dc16f7e922d5a361a8ec025c4b1b34ddd4d959"
    with h5py.File(new.path) as source, h5py.File(tmp_path / "old.h5", "w") as old:
        old.create_dataset("volumes", data=source["volumes"][:], chunks=(1, 4, 4, 4))
        for name, column in new.columns.items():
            dtype = h5py.string_dtype() if name in ("id", "split") else column.dtype
            old.create_dataset(f"items/{name}", data=np.array(column, dtype))
        old.attrs.update({"schema_version": 1, "header": source.attrs["header"]})
        old.attrs["digest"] = new.digest
    read = open_set(tmp_path / "old.h5", verify=True)
    assert read.header == new.header
    assert list(read.ids) == ["old/0", "old/1", "old/2"]
    np.testing.assert_array_equal(read.volumes(np.arange(3)), new.volumes(np.arange(3)))


def test_verify_finds_one_flipped_byte(
    tmp_path: Path, header: SetHeader, items: list[Item]
) -> None:
    path = written(tmp_path / "set.h5", header, items).path
    with h5py.File(path) as file:
        fifth = file["volumes"].id.get_offset() + 5 * items[0].volume.nbytes
    content = bytearray(path.read_bytes())
    content[fifth + 17] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="sha256"):
        open_set(path, verify=True)


def _of_schema_2(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file.attrs["schema_version"] = 2


def _without_labels(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["items/label"]


def _with_another_header(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file.attrs["header"] = '{"class_names": [], "colour": "blue"}'


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    "damage", [_of_schema_2, _without_labels, _with_another_header, _truncated, Path.unlink]
)
def test_files_that_are_no_set(
    tmp_path: Path, header: SetHeader, items: list[Item], damage: Callable[[Path], None]
) -> None:
    path = written(tmp_path / "set.h5", header, items).path
    damage(path)
    with pytest.raises(InputError, match=r"set\.h5"):
        open_set(path)


def test_a_text_file_is_no_set(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not HDF5")
    with pytest.raises(InputError, match=r"notes\.txt"):
        open_set(path)
