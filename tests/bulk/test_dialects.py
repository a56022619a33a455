"""A lone bright voxel comes back in the middle of its box, whoever wrote the list."""

from pathlib import Path

import mrcfile
import numpy as np
import pytest

from tests.particles.lists_of_others import AT, DIALECTS, SHAPE, SPACING, write_list
from tests.versions import BOX
from tomodistill.bulk.config import BulkConfig
from tomodistill.bulk.plan import plan
from tomodistill.bulk.reading import read_blocks


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_delta_comes_to_the_centre_of_its_box(
    tmp_path: Path, version: Path, dialect: str
) -> None:
    tomogram = np.zeros(SHAPE, np.float32)
    tomogram[tuple(np.floor(AT + 0.5).astype(int))] = 1.0
    with mrcfile.new(tmp_path / "ts.mrc", data=tomogram) as file:
        file.voxel_size = SPACING
    config = BulkConfig(
        particles=str(write_list(tmp_path, dialect)),
        tomograms=str(tmp_path / "ts.mrc"),
        contrast="bright",
    )
    job = plan(tmp_path / "job", config, version=version, model="one")
    [block] = read_blocks(job, job.task(0), size=1)
    where = np.unravel_index(block.volumes[0].argmax(), block.volumes[0].shape)
    assert where == (BOX // 2, BOX // 2, BOX // 2)
    assert block.volumes[0].max() == 1.0
