"""Particle lists with classes, on a tomogram made for the test."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.ingestion.test_experimental import ingested
from tomodistill.errors import InputError
from tomodistill.subtomograms.dataset import SubtomogramSet
from tomodistill.subtomograms.volumes import write_mrc

COLUMNS = ("CoordinateX", "CoordinateY", "CoordinateZ", "AngleRot", "AngleTilt", "AnglePsi")
SHAPE, EDGE = (20, 40, 50), 6
Write = Callable[..., Path]


@pytest.fixture
def tomograms(tmp_path: Path, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Three small ones, by name."""
    (tmp_path / "tomograms").mkdir()
    made = {f"TS_{n}": rng.normal(size=SHAPE).astype(np.float32) for n in (1, 2, 10)}
    for name, volume in made.items():
        write_mrc(tmp_path / f"tomograms/{name}.mrc", volume, 10.0)
    return made


@pytest.fixture
def particles(tmp_path: Path, tomograms: dict[str, np.ndarray]) -> tuple[Path, np.ndarray]:
    """A RELION 3 list of 24 in the three, of classes 1, 2 and 3 in turn; and their x, y, z."""
    rng = np.random.default_rng(4)
    places = np.column_stack([rng.integers(5, side - 5, 24) for side in SHAPE[::-1]])
    names = [f"rln{column}" for column in COLUMNS]
    lines = ["data_", "", "loop_", *(f"_{name}" for name in names)]
    lines += ["_rlnMicrographName", "_rlnClassNumber"]
    for row, place in enumerate(places):
        at = " ".join(f"{value:.1f}" for value in [*place, 30 + row, 40, 50])
        lines.append(f"{at} {list(tomograms)[row % 3]}.mrc {row // 3 % 3 + 1}")
    path = tmp_path / "particles.star"
    path.write_text("\n".join([*lines, ""]))
    return path, places


def labelled(data: SubtomogramSet) -> set[tuple[bytes, int]]:
    """What each box holds, with its label."""
    volumes = data.volumes(np.arange(len(data.ids)))
    return {(box.tobytes(), label) for box, label in zip(volumes, data.labels, strict=True)}


def test_a_list_with_classes_is_cropped_from_its_tomograms(
    tmp_path: Path, particles: tuple[Path, np.ndarray], tomograms: dict[str, np.ndarray]
) -> None:
    path, places = particles
    data = ingested(
        path,
        tomograms=str(tmp_path / "tomograms"),
        box=EDGE,
        class_names="2:proteasome,1:ribosome",
    )
    assert data.header.class_names == ("proteasome", "ribosome")
    assert (data.header.box, data.header.voxel_spacing) == (EDGE, 10.0)
    kept = [row for row in range(24) if row // 3 % 3 < 2]
    boxes = {
        tuple(v[EDGE // 2, EDGE // 2]): row for row, v in enumerate(data.volumes(np.arange(18)))
    }
    for row in kept:
        x, y, z = places[row]
        line = tomograms[list(tomograms)[row % 3]][z, y, x - 3 : x + 3]
        found = boxes[tuple(line)]
        assert data.labels[found] == {2: 0, 1: 1}[row // 3 % 3 + 1]
        turn = Rotation.from_euler("ZYZ", [30 + row, 40, 50], degrees=True).inv()
        np.testing.assert_allclose(
            (Rotation.from_quat(data.columns["pose"][found, :4]) * turn.inv()).magnitude(),
            0,
            atol=1e-6,
        )


def test_labels_of_a_list_can_be_left_aside(
    tmp_path: Path, particles: tuple[Path, np.ndarray]
) -> None:
    given = {"tomograms": str(tmp_path / "tomograms"), "box": EDGE}
    data = ingested(particles[0], **given, class_names="none")
    assert data.header.class_names == ()
    assert set(data.labels) == {-1}
    assert len(data.rows("train")) == 24


def test_whole_tomograms_are_held_out(tmp_path: Path, particles: tuple[Path, np.ndarray]) -> None:
    data = ingested(particles[0], tomograms=str(tmp_path / "tomograms"), box=EDGE)
    assert data.header.recipe["split_by"] == "tomogram"
    assert [len(data.rows(part)) for part in ("train", "val", "test")] == [8, 8, 8]


def test_several_lists_are_one_set(tmp_path: Path, particles: tuple[Path, np.ndarray]) -> None:
    given = {"tomograms": str(tmp_path / "tomograms"), "box": EDGE}
    whole = labelled(ingested(particles[0], **given))
    head, rows = particles[0].read_text().split("_rlnClassNumber\n")
    lines = rows.splitlines()
    for name, part in {"one": lines[:12], "two": lines[12:]}.items():
        text = "\n".join([f"{head}_rlnClassNumber", *part, ""])
        (tmp_path / f"{name}.star").write_text(text)
    two = (tmp_path / "two.star").read_text()
    (tmp_path / "two.star").write_text(two.replace("TS_2.mrc", "TS_2"))  # as RELION 4 has it
    parts = ingested(tmp_path / "???.star", **given)
    assert labelled(parts) == whole
    assert {"one.star/TS_1.mrc/1", "two.star/TS_1.mrc/1"} <= set(parts.ids)
    assert parts.header.recipe["split_by"] == "tomogram"
    assert [len(parts.rows(part)) for part in ("train", "val", "test")] == [8, 8, 8]


def test_boxes_that_reach_out_are_dropped_where_asked(
    tmp_path: Path, particles: tuple[Path, np.ndarray]
) -> None:
    given = {"tomograms": str(tmp_path / "tomograms"), "box": 12}
    assert len(ingested(particles[0], **given).ids) == 24
    dropped = len(ingested(particles[0], **given, border="drop").ids)
    x, y, z = particles[1].T
    inside = (np.minimum.reduce([x, y, z]) >= 6) & (x < 45) & (y < 35) & (z < 15)
    assert dropped == inside.sum() < 24


def test_a_list_without_boxes_needs_tomograms_and_a_box(
    tmp_path: Path, particles: tuple[Path, np.ndarray]
) -> None:
    with pytest.raises(InputError, match=r"names 3-D boxes \(rlnImageName\), or tomograms="):
        ingested(particles[0])
    with pytest.raises(InputError, match="box: the voxels to crop"):
        ingested(particles[0], tomograms=str(tmp_path / "tomograms"))
