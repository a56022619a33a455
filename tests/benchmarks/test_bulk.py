"""What the script makes of what it measures; and that it would see harm."""

import importlib
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from tomodistill.bulk.merge import result_type
from tomodistill.particles.reading import read_particles

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script(monkeypatch):
    """A module of benchmarks/ by its name."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


def test_all_positions_have_their_boxes_in_the_tomogram(script, version_folder, tmp_path):
    stage = script("bulk_stage").stage(tmp_path, version_folder, particles=50, shape=(40, 60, 81))
    box = stage.manifest.box
    with mrcfile.open(tmp_path / "tomogram.mrc") as file:
        assert file.data.shape == (40, 60, 81)
        assert float(file.voxel_size.x) == pytest.approx(stage.manifest.voxel_spacing)
        assert file.data.std() > 1
    assert (stage.at - box // 2 >= 0).all()
    assert (stage.at - box // 2 + box <= (40, 60, 81)).all()
    listed = read_particles(stage.star(20))
    assert listed.positions.values.tolist() == stage.at[:20].tolist()


def test_ways_are_compared_within_a_round(script):
    speed = script("bulk_speed")
    ways = (speed.ENGINE, speed.CLASSIFIER, speed.ALONE, speed.ONE, speed.TWO)
    taken = [
        speed.Turn(number, way, particles=100, seconds=slowness * (i + 1), cpu=i + 1)
        for number, slowness in enumerate((1.0, 4.0, 1.0))  # the machine has others to serve
        for i, way in enumerate(ways)
    ]
    last = speed.speed_table(taken).rows[-1]
    assert [cell.value for cell in last[1:]] == pytest.approx([20, 20, 1 / 5, 2 / 5, 4 / 5, 3 / 5])
    assert last[3].low == last[3].high


def finished(folder: Path, rows: np.ndarray) -> Path:
    for name in ("results", "classified"):
        (folder / name).mkdir(parents=True)
    np.save(folder / "results" / "00000.npy", rows)
    (folder / "classified" / "list.star").write_text("the same")
    return folder


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [("score", 1.0, (0, 0)), ("score", 2.0, (0, 1)), ("reason", 6, (1, 1))],
)
def test_harm_is_seen(script, tmp_path, field, value, found):
    faults = script("bulk_faults")
    rows = np.ones(3, result_type(2))
    right = finished(tmp_path / "right", rows)
    rows[field][1] = value
    out = finished(tmp_path / "out", rows)
    played = faults.Faults(None, particles=3, times=1).held("fault", 1, out, right, seconds=1.0)
    assert (played.missing, played.changed) == found
    assert faults.sound(played) == (found == (0, 0))
