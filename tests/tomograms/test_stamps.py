import os
from pathlib import Path

import numpy as np
import zarr

from tomodistill.tomograms.stamps import file_stamp


def test_a_file_is_known_by_its_size_and_time(tmp_path: Path) -> None:
    (tmp_path / "box.mrc").write_bytes(b"12345")
    os.utime(tmp_path / "box.mrc", ns=(7, 8))
    assert file_stamp(tmp_path / "box.mrc") == (5, 8)


def test_a_store_of_which_one_chunk_was_written_again_is_another(tmp_path: Path) -> None:
    store = zarr.create_array(tmp_path / "boxes.zarr", shape=(4, 2), chunks=(1, 2), dtype="f4")
    store[:] = np.ones((4, 2))
    for path in (tmp_path / "boxes.zarr").rglob("*"):
        os.utime(path, ns=(7, 8))
    before = file_stamp(tmp_path / "boxes.zarr")
    store[2] = 5.0
    assert file_stamp(tmp_path / "boxes.zarr") != before
