import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tomodistill.errors import InputError
from tomodistill.particles.coordinates import Coordinates, voxels
from tomodistill.particles.lists import Classified
from tomodistill.particles.reading import read_particles
from tomodistill.particles.writing import write_classified

TURN = Rotation.from_euler("ZYZ", [30, 60, 75], degrees=True)  # as RELION counts


def write_config(folder: Path) -> Path:
    objects = [{"name": "ribosome", "is_particle": True, "label": 1}]
    config = {
        "name": "test",
        "version": "1.31.0",
        "config_type": "filesystem",
        "pickable_objects": objects,
        "overlay_root": f"local://{folder}/overlay",
        "overlay_fs_args": {"auto_mkdir": True},
    }
    path = folder / "copick.json"
    path.write_text(json.dumps(config))
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two points in one tomogram, one in another, by two users."""
    copick = pytest.importorskip("copick")
    path = write_config(tmp_path)
    root = copick.from_file(str(path))
    transformation = np.eye(4)
    transformation[:3, :3], transformation[:3, 3] = TURN.inv().as_matrix(), [5, -10, 20]
    for run, user, places in (
        ("ts_1", "ada", [[10, 20, 30], [40, 50, 60]]),
        ("ts_2", "bob", [[1, 2, 3]]),
    ):
        picks = root.new_run(run).new_picks("ribosome", "1", user)
        picks.from_numpy(np.array(places, float), np.stack([transformation] * len(places)))
    return path


def test_picks_are_where_and_how_copick_says(project: Path) -> None:
    particles = read_particles(project)
    assert (particles.dialect, len(particles)) == ("copick", 3)
    assert list(particles.tomograms) == ["ts_1", "ts_1", "ts_2"]  # type: ignore[arg-type]
    assert particles.ids[1] == "ts_1/ribosome/ada/1/1"
    assert particles.positions is not None
    found = voxels(
        particles.positions,
        slice(None),
        shape=(9, 9, 9),
        voxel_spacing=5.0,
        options=Coordinates(coordinate_spacing=3.0),  # of no meaning for Å
    )
    np.testing.assert_allclose(found, np.array([[50, 10, 15], [80, 40, 45], [23, -8, 6]]) / 5)
    np.testing.assert_allclose(particles.angles, [[30, 60, 75]] * 3)


@pytest.mark.parametrize(("choice", "count"), [("object=ribosome", 3), ("user=bob&session=1", 1)])
def test_some_picks_can_be_chosen(project: Path, choice: str, count: int) -> None:
    assert len(read_particles(Path(f"{project}?{choice}"))) == count


@pytest.mark.parametrize(
    ("choice", "says"), [("user=eve", "found none"), ("run=1", "object, user")]
)
def test_a_choice_of_nothing_is_refused(project: Path, choice: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_particles(Path(f"{project}?{choice}"))


def test_classes_become_picks_of_our_own(project: Path, tmp_path: Path) -> None:
    particles = read_particles(project)
    classified = Classified(
        names=("70S", "unknown", "not_classified"),
        numbers=np.array([1, 2, 1]),
        probabilities=np.array([0.75, 0.5, 1.0], np.float32),
        scores=None,
    )
    written = write_classified(particles, classified, tmp_path / "out")
    assert written[0].name == "copick.star"
    assert len(read_particles(project)) == 3  # ours are no input, if nobody asks for them
    ours = read_particles(Path(f"{project}?user=tomodistill&session=70S"))
    assert list(ours.tomograms) == ["ts_1", "ts_2"]  # type: ignore[arg-type]
    assert ours.positions is not None
    assert particles.positions is not None
    np.testing.assert_allclose(ours.positions.values, particles.positions.values[[0, 2]])
    assert scores(project) == {"70S": [0.75, 1.0], "unknown": [0.5]}

    again = replace(classified, numbers=np.array([2, 2, 2]))
    write_classified(particles, again, tmp_path / "out")
    assert scores(project) == {"unknown": [0.75, 0.5, 1.0]}  # each particle in one class

    lost = Classified(classified.names, np.array([3]), np.array([0.25]), None)
    write_classified(read_particles(Path(f"{project}?user=tomodistill")), again, tmp_path / "ours")
    write_classified(read_particles(Path(f"{project}?user=bob")), lost, tmp_path / "bob")
    assert scores(project) == {"unknown": [0.75, 0.5], "not-classified": [0.25]}


def scores(project: Path) -> dict[str, list[float]]:
    root: Any = pytest.importorskip("copick").from_file(str(project))
    found: dict[str, list[float]] = {}
    for run in root.runs:
        for picks in run.get_picks(user_id="tomodistill"):
            found.setdefault(picks.session_id, []).extend(point.score for point in picks.points)
    return found


def test_without_the_library_it_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "copick", None)
    with pytest.raises(InputError, match="uv pip install copick"):
        read_particles(write_config(tmp_path))
