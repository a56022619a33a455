"""Planning: every particle has its place, and what is wrong is told before anything is computed."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import zarr

from tests.bulk.synthetic import SIDE, make_job, positions, write_inputs, write_star, write_tomogram
from tests.versions import BOX, SPACING
from tomodistill.bulk.config import BulkConfig
from tomodistill.bulk.inputs import BOXES
from tomodistill.bulk.job import Job
from tomodistill.bulk.plan import check_same, plan
from tomodistill.errors import InputError


def test_every_particle_has_its_place_by_tomogram(tmp_path: Path, version: Path) -> None:
    job = make_job(tmp_path, version)
    at, order = positions(20), []
    for shard in range(len(job.shards)):
        task = job.task(shard)
        files = {Path(task.files["path"][i].decode()).stem for i in task.places["file"].tolist()}
        assert len(files) == 1  # a damaged tomogram takes no particles of others with it
        for row, _, where in task.places.tolist():
            assert files == {("one", "two")[row % 2]}
            np.testing.assert_array_equal(where, at[row])
            order.append(row)
    assert sorted(order) == [*range(20)]
    assert job.facts.voxel_spacing == SPACING
    assert (job.facts.contrast, job.facts.contrast_from) == ("dark", "the flag")


def test_the_same_flags_go_on_and_others_do_not(tmp_path: Path, version: Path) -> None:
    job = make_job(tmp_path, version)
    again = Job.open(job.folder)
    assert again.digest == job.digest
    check_same(again, job.config)
    with pytest.raises(InputError, match="found border=drop"):
        check_same(again, replace(job.config, border="drop"))
    Path(job.config.particles).write_text("data_\n")
    with pytest.raises(InputError, match="a changed or missing one"):
        check_same(again, job.config)


def test_the_first_of_two_planners_wins_if_they_mean_the_same(
    tmp_path: Path, version: Path
) -> None:
    config = write_inputs(tmp_path)

    def planned(config: BulkConfig) -> Job:
        return plan(tmp_path / "job", config, version=version, model="one")

    with ThreadPoolExecutor(3) as pool:
        digests = {job.digest for job in pool.map(planned, [config] * 3)}
    assert len(digests) == 1
    another = replace(config, border="drop")
    with pytest.raises(InputError, match="expected border=pad"):
        check_same(planned(another), another)
    assert [path.name for path in (tmp_path / "job").iterdir()] == ["plan"]


@pytest.mark.parametrize("name", ["00000.places.npy", "00000.files.npy", "shards.npy", "job.json"])
def test_a_damaged_plan_is_found(tmp_path: Path, version: Path, name: str) -> None:
    job = make_job(tmp_path, version)
    job.verify()
    path = job.folder / "plan" / name
    path.write_bytes(path.read_bytes().replace(b"list", b"lost", 1)[:-1] + b" ")
    with pytest.raises(InputError, match="a plan as it was written"):
        job.verify()


def test_boxes_without_a_list_are_numbered(tmp_path: Path, version: Path) -> None:
    boxes = np.random.default_rng(0).normal(size=(5, BOX, BOX, BOX)).astype(np.float32)
    np.save(tmp_path / "boxes.npy", boxes)
    config = replace(
        write_inputs(tmp_path),
        particles=str(tmp_path / "boxes.npy"),
        tomograms="none",
        voxel_spacing=SPACING,
    )
    job = plan(tmp_path / "job", config, version=version, model="one")
    assert [(listed.path, listed.dialect, listed.count) for listed in job.lists] == [
        ("particles", BOXES, 5)
    ]
    np.testing.assert_array_equal(job.task(0).places["at"][:, 0], np.arange(4))


def test_a_zarr_store_or_boxes_beside_a_table_are_no_lists(tmp_path: Path, version: Path) -> None:
    boxes = np.random.default_rng(0).normal(size=(3, BOX, BOX, BOX)).astype(np.float32)
    zarr.save_array(str(tmp_path / "boxes"), boxes)
    (tmp_path / "folder").mkdir()
    np.save(tmp_path / "folder" / "boxes.npy", boxes)
    (tmp_path / "folder" / "boxes.csv").write_text("x,y,z\n")
    particles = f"{tmp_path}/boxes,{tmp_path}/folder"
    config = BulkConfig(particles=particles, voxel_spacing=SPACING, contrast="dark")
    job = plan(tmp_path / "job", config, version=version, model="one")
    assert job.particles == 6


def test_boxes_far_wider_than_the_model_sees_are_told(tmp_path: Path, version: Path) -> None:
    tomogram = np.random.default_rng(0).normal(size=[2 * BOX + 1] * 3).astype(np.float32)
    np.save(tmp_path / "one.npy", tomogram)
    config = BulkConfig(
        particles=f"{tmp_path}/one.npy", voxel_spacing=SPACING, contrast="dark", engine="openvino"
    )
    job = plan(tmp_path / "job", config, version=version, model="one")
    assert job.facts.warnings == (
        f"boxes of {2 * BOX + 1} voxels: the model sees the central {BOX}; give tomograms= to crop",
    )


def lone(folder: Path, at: list[tuple[int, int, int]], name: str = "one") -> str:
    return str(write_star(folder / "lone.star", np.array(at), [name] * len(at)))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda f: {"particles": "none"}, "particles: particle lists or boxes; found none"),
        (lambda f: {"particles": str(f / "not.star")}, "no file"),
        (lambda f: {"particles": lone(f, [(30, 30, 30)], "three")}, "found none for three"),
        (
            lambda f: {"particles": lone(f, [(30, 30, 30), (30, 300, 30)])},
            r"1 of 2 particles outside of one.mrc; the first, .*, at voxel 30.0, 300.0, 30.0",
        ),
        (
            lambda f: {"particles": str(f / "one.mrc")},
            "lists, since tomograms is given; found none",
        ),
        (lambda f: {"priors": "nobody:0.5"}, "found nobody"),
        (lambda f: {"voxel_spacing": 13.0}, "a voxel spacing of 10.0 Å or less"),
        (lambda f: {"tomograms": "none"}, "names 3-D boxes .rlnImageName., or tomograms="),
    ],
    ids=["nothing", "no list", "no tomogram", "outside", "boxes", "priors", "coarser", "no boxes"],
)
def test_what_cannot_be_classified_is_told_first(
    tmp_path: Path, version: Path, change, told: str
) -> None:
    config = write_inputs(tmp_path)
    with pytest.raises(InputError, match=told):
        plan(tmp_path / "job", replace(config, **change(tmp_path)), version=version, model="one")
    assert not (tmp_path / "job").exists()


@pytest.mark.parametrize(
    ("spacing", "told"),
    [(8.0, "8 Å in .*two.mrc, 10 Å in .*one.mrc"), (1.0, "none in some of them: .*two.mrc")],
)
def test_voxel_spacings_must_agree(
    tmp_path: Path, version: Path, spacing: float, told: str
) -> None:
    config = write_inputs(tmp_path)
    write_again = tmp_path / "two.mrc"
    write_again.unlink()
    write_tomogram(write_again, seed=1, spacing=spacing)
    with pytest.raises(InputError, match=told):
        plan(tmp_path / "job", config, version=version, model="one")
    stated = replace(config, voxel_spacing=SPACING)
    assert plan(tmp_path / "job", stated, version=version, model="one").facts.voxel_spacing == 10


def test_particles_outside_are_dropped_where_that_is_wanted(tmp_path: Path, version: Path) -> None:
    config = write_inputs(tmp_path)
    star = lone(tmp_path, [(30, 30, 30), (30, 300, 30)])
    dropping = replace(config, particles=star, border="drop")
    assert plan(tmp_path / "job", dropping, version=version, model="one").particles == 2


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, version: Path) -> None:
    config = write_inputs(tmp_path)
    (tmp_path / "job").write_text("a file")
    with pytest.raises(InputError, match="out: a folder that can be written"):
        plan(tmp_path / "job", config, version=version, model="one")


def test_an_unfinished_plan_is_no_job(tmp_path: Path, version: Path) -> None:
    job = make_job(tmp_path, version)
    shutil.move(job.folder / "plan", job.folder / ".planning-1")
    with pytest.raises(InputError, match="expected a job folder"):
        Job.open(job.folder)
    with mrcfile.mmap(tmp_path / "one.mrc") as file:
        assert file.data.shape == (SIDE, SIDE, SIDE)
