"""Files that cannot be used: each is refused with what to do."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from zarr.codecs import GzipCodec

from tests.subtomograms.volume_bodies import counting, mrc_bytes, npy_bytes
from tests.tomograms.tomogram_files import EVERY, gzipped
from tomodistill.errors import InputError
from tomodistill.tomograms.files import open_tomogram, open_volume


def refusal(path: Path, **options: str) -> InputError:
    with pytest.raises(InputError) as caught:
        open_volume(path, **options)
    assert str(path) in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"mode": 101}, "4-bit"),
        ({"mode": 4}, "complex"),
        ({"mapc": 3, "maps": 1}, "(3, 2, 1)"),
        ({"nx": -3}, "no header"),
        ({"nsymbt": -8}, "no header"),
        ({"mode": 77}, "no header"),
        ({"ispg": 401, "mz": 0}, "volumes of 0"),
        ({"ispg": 401, "mz": 2}, "volumes of 2 in all 3"),
        ({"nx": 2048, "ny": 2048, "nz": 2048}, "108 bytes"),
        ({"nsymbt": 64}, "44 bytes"),
    ],
)
def test_mrc_headers(fields: dict, found: str, tmp_path: Path) -> None:
    mode = fields.pop("mode", 2)
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(counting(), mode, **fields))
    assert found in refusal(path).found


@pytest.mark.parametrize("name", [name for name in EVERY if not name.endswith(".zarr")])
def test_a_truncated_file_of_any_format(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    EVERY[name](path, np.random.default_rng(0).normal(size=(9, 10, 11)).astype(np.float32))
    body = path.read_bytes()
    path.write_bytes(body[: len(body) // 2])
    refusal(path)


def test_truncated_files_are_told_by_bytes(tmp_path: Path) -> None:
    for name, body in {"a.mrc": mrc_bytes(counting()), "a.npy": npy_bytes(counting())}.items():
        (tmp_path / name).write_bytes(body[:-8])
        error = refusal(tmp_path / name)
        assert "108 bytes" in error.expected
        assert error.found.startswith("100 bytes")


def test_a_damaged_gzip(tmp_path: Path) -> None:
    body = bytearray(gzipped(mrc_bytes(counting())))
    body[40] ^= 255
    (tmp_path / "a.mrc.gz").write_bytes(body)
    refusal(tmp_path / "a.mrc.gz")
    (tmp_path / "b.mrc.gz").write_bytes(gzipped(mrc_bytes(counting())[:-8]))
    assert refusal(tmp_path / "b.mrc.gz").found.startswith("100 bytes")


def pickled(path: Path) -> None:
    path.write_bytes(npy_bytes(np.array([{}, 1])))


def looped(path: Path) -> None:
    path.symlink_to(path)


def coloured(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((5, 6, 3), np.uint8), photometric="rgb")


def two_series(path: Path) -> None:
    with tifffile.TiffWriter(path) as tiff:
        for _ in range(2):
            tiff.write(np.zeros((5, 6, 7), np.float32))


def turned_zarr(path: Path) -> None:
    group = zarr.open_group(str(path), mode="w")
    group.create_array("0", data=counting())
    group.attrs["multiscales"] = [{"axes": ["x", "y", "z"], "datasets": [{"path": "0"}]}]


def unreadable_zarr(path: Path) -> None:
    path.mkdir()
    (path / "zarr.json").write_text("{")


def test_a_damaged_chunk_is_told_when_it_is_read(tmp_path: Path) -> None:
    zarr.save_array(str(tmp_path / "one.zarr"), counting())
    with h5py.File(tmp_path / "one.h5", "w") as file:
        data = file.create_dataset("data", data=counting(), chunks=True, compression="gzip")
        offset = data.id.get_chunk_info(0).byte_offset
    with (tmp_path / "one.h5").open("r+b") as stream:
        stream.seek(offset)
        stream.write(b"damaged")
    for chunk in (tmp_path / "one.zarr/c").rglob("0"):
        if chunk.is_file():
            chunk.write_bytes(b"damaged")
    zarr.create_array(
        tmp_path / "cut.zarr", data=counting(), chunks=counting().shape, compressors=GzipCodec()
    )
    (chunk,) = (path for path in (tmp_path / "cut.zarr/c").rglob("0") if path.is_file())
    chunk.write_bytes(chunk.read_bytes()[:50])
    for name in ("one.zarr", "one.h5", "cut.zarr"):
        with (
            open_volume(tmp_path / name) as file,
            pytest.raises(InputError, match=f"a whole volume file; found a broken one .*{name}"),
            file.reading(),
        ):
            file.array[:1]


def two_arrays(path: Path) -> None:
    group = zarr.open_group(str(path), mode="w")
    for name in ("raw", "denoised"):
        group.create_array(name, data=counting())


def no_volumes(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["labels"] = np.arange(3)


@pytest.mark.parametrize(
    ("write", "expected", "found"),
    [
        (lambda path: None, "a file to read", "No such file"),
        (looped, "a file to read", "symbolic links"),
        (Path.mkdir, "a Zarr store", "a folder"),
        (Path.touch, ".mrc", "0 bytes"),
        (lambda path: path.write_text("x" * 2000), ".npy, HDF5 or Zarr", "none of them"),
        (pickled, "real numbers", "object"),
        (lambda path: path.write_bytes(npy_bytes(counting() * 1j)), "real numbers", "complex"),
        (lambda path: path.write_bytes(npy_bytes(np.zeros((3, 3)))), "a volume", "(3, 3)"),
        (lambda path: path.write_bytes(npy_bytes(np.zeros((0, 3, 3)))), "bytes", "(0, 3, 3)"),
        (coloured, "pages of sections", "colours"),
        (two_series, "one volume", "2 series"),
        (turned_zarr, "axes z, y, x", "x, y, z"),
        (unreadable_zarr, "a whole Zarr store", "broken"),
        (two_arrays, "one array of volumes", "denoised (3, 3, 3)"),
        (no_volumes, "one array of volumes", "labels (3,)"),
    ],
)
def test_what_is_no_volume(write: Callable, expected: str, found: str, tmp_path: Path) -> None:
    path = tmp_path / "given"
    write(path)
    error = refusal(path)
    assert expected in error.expected
    assert found in f"{error.expected} {error.found}"
    assert error.todo


def test_a_dataset_that_is_not_there(tmp_path: Path) -> None:
    two_arrays(tmp_path / "two.zarr")
    error = refusal(tmp_path / "two.zarr", dataset="mask")
    assert "an array mask" in error.expected
    assert "raw (3, 3, 3)" in error.found
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(counting()))
    assert "HDF5 or Zarr" in refusal(tmp_path / "a.mrc", dataset="mask").expected


def test_stacks_are_no_tomograms(tmp_path: Path) -> None:
    path = tmp_path / "tilts.mrc"
    path.write_bytes(mrc_bytes(counting(), ispg=0, mz=1))
    with pytest.raises(InputError) as caught:
        open_tomogram(path)
    assert caught.value.found.startswith("a stack of 3 images")
    assert "ISPG to 1" in caught.value.todo
