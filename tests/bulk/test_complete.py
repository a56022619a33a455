"""A job from its plan to its lists: what the service and the evaluation say, bulk says too."""

import errno
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.signal import resample

from tests.bulk.synthetic import SIDE, make_job, positions, write_inputs, write_star
from tests.versions import BOX, SPACING, random_volumes
from tomodistill.bulk.backends import Here, Outcome
from tomodistill.bulk.complete import Completed, complete, missing
from tomodistill.bulk.config import BulkConfig
from tomodistill.bulk.job import Job
from tomodistill.bulk.merge import list_results
from tomodistill.bulk.outputs import class_numbers_named, write_lists
from tomodistill.bulk.page import write_page
from tomodistill.bulk.plan import plan
from tomodistill.bulk.progress import Progress
from tomodistill.bulk.results import NOT_CLASSIFIED, Reason, read_results
from tomodistill.bulk.run import ATTEMPTS
from tomodistill.bulk.shard import compute_shard
from tomodistill.errors import InputError
from tomodistill.inference.classifier import Classifier
from tomodistill.particles.reading import read_particles


def done(job: Job) -> Completed:
    return complete(job, lambda: Here(job.folder, compute_shard), Progress(job.particles, 0))


def crops(folder: Path, at: np.ndarray) -> np.ndarray:
    """(n, d, d, d), cut out by hand."""
    volumes = {}
    for name in ("one", "two"):
        with mrcfile.open(folder / f"{name}.mrc") as file:
            volumes[name] = np.array(file.data)
    half = BOX // 2
    return np.stack(
        [
            volumes[("one", "two")[i % 2]][tuple(slice(c - half, c - half + BOX) for c in where)]
            for i, where in enumerate(at.tolist())
        ]
    )


def test_bulk_says_what_the_classifier_says(tmp_path: Path, version: Path) -> None:
    job = make_job(tmp_path, version)
    completed = done(job)
    assert completed.aside == {}
    assert completed.particles == 20
    wanted = Classifier.load(version, engine="openvino").decide(crops(tmp_path, positions(20)))
    rows = list_results(job, 0)
    np.testing.assert_allclose(rows["probabilities"], wanted.probabilities, atol=1e-6)
    np.testing.assert_allclose(rows["score"], wanted.scores, atol=1e-6)
    np.testing.assert_array_equal(rows["class"], wanted.classes)
    assert set(wanted.classes) >= {0, 2}  # they differ


def test_boxes_say_what_crops_say(tmp_path: Path, version: Path) -> None:
    cropped = make_job(tmp_path, version)
    np.save(tmp_path / "boxes.npy", crops(tmp_path, positions(20)))
    config = BulkConfig(
        particles=str(tmp_path / "boxes.npy"),
        voxel_spacing=SPACING,
        contrast="dark",
        engine="openvino",
    )
    boxes = plan(tmp_path / "boxes", config, version=version, model="one")
    done(cropped), done(boxes)
    of_crops, of_boxes = list_results(cropped, 0), list_results(boxes, 0)
    np.testing.assert_allclose(of_crops["probabilities"], of_boxes["probabilities"], atol=1e-6)


def test_listed_boxes_say_what_crops_say(tmp_path: Path, version: Path) -> None:
    cropped = make_job(tmp_path, version)
    boxes = crops(tmp_path, positions(20))
    for name, first in (("b", 0), ("a", 10)):  # the list goes another way than the files
        with mrcfile.new_mmap(tmp_path / f"{name}.mrcs", (10, *[BOX] * 3), mrc_mode=2) as file:
            file.set_data(boxes[first : first + 10][::-1].copy())
            file.set_volume_stack() if not file.is_volume_stack() else None
            file.voxel_size = SPACING
    rows = [f"{10 - i % 10:06d}@{'ba'[i // 10]}.mrcs" for i in range(20)]
    star = tmp_path / "boxes.star"
    star.write_text("\n".join(["data_particles", "", "loop_", "_rlnImageName #1", *rows, ""]))
    config = replace(cropped.config, particles=str(star), tomograms="none")
    listed = plan(tmp_path / "listed", config, version=version, model="one")
    done(cropped), done(listed)
    assert not listed.config.cropped
    of_crops, of_boxes = list_results(cropped, 0), list_results(listed, 0)
    np.testing.assert_allclose(of_crops["probabilities"], of_boxes["probabilities"], atol=1e-6)


def test_a_mirrored_tomogram_says_the_same_of_its_particles(tmp_path: Path, version: Path) -> None:
    job = make_job(tmp_path, version)
    done(job)
    at = positions(20)
    at[:, 0] = SIDE - 1 - at[:, 0]
    (mirrored := tmp_path / "mirrored").mkdir()
    for name in ("one", "two"):
        with mrcfile.open(tmp_path / f"{name}.mrc") as file:
            np.save(mirrored / f"{name}.npy", file.data[::-1])
    star = write_star(mirrored / "list.star", at, [("one", "two")[i % 2] for i in range(20)])
    changes = {"handedness": "mirrored", "voxel_spacing": SPACING, "tomograms": str(mirrored)}
    config = replace(job.config, particles=str(star), **changes)
    other = plan(tmp_path / "other", config, version=version, model="one")
    done(other)
    same, turned = list_results(job, 0), list_results(other, 0)
    np.testing.assert_allclose(turned["probabilities"], same["probabilities"], atol=1e-6)


def test_a_finer_tomogram_says_about_the_same(tmp_path: Path, version: Path) -> None:
    job = make_job(tmp_path, version)
    (finer := tmp_path / "finer").mkdir()
    for name in ("one", "two"):
        with mrcfile.mmap(tmp_path / f"{name}.mrc", "r+") as file:
            file.data[...] = volume = gaussian_filter(file.data, 1.5)  # edges of boxes ring less
        for axis in range(3):
            volume = resample(volume, 2 * SIDE, axis=axis)
        with mrcfile.new(finer / f"{name}.mrc", data=volume.astype(np.float32)) as file:
            file.voxel_size = SPACING / 2
    job = plan(tmp_path / "coarse", job.config, version=version, model="one")
    # Boxes keep their middle, which is half a voxel before the particle's: here of half the size.
    at, names = 2 * positions(20) + 0.5, [("one", "two")[i % 2] for i in range(20)]
    star = write_star(finer / "list.star", at, names)
    changes = {"particles": str(star), "tomograms": str(finer), "position": "subvoxel"}
    other = plan(tmp_path / "fine", replace(job.config, **changes), version=version, model="one")
    assert (job.facts.edge, other.facts.edge) == (BOX, 2 * BOX)
    done(job), done(other)
    coarse, fine = (list_results(each, 0)["probabilities"] for each in (job, other))
    assert np.ptp(coarse, axis=0).max() > 0.5
    assert np.corrcoef(fine.ravel(), coarse.ravel())[0, 1] > 0.95


def test_priors_of_the_user_count(tmp_path: Path, version: Path) -> None:
    job = make_job(tmp_path, version, priors="ribosome:0.98")
    done(job)
    wanted = Classifier.load(version, engine="openvino").probabilities(
        crops(tmp_path, positions(20)), priors={"ribosome": 0.98}
    )
    np.testing.assert_allclose(list_results(job, 0)["probabilities"], wanted, atol=1e-6)


def test_what_stands_is_not_computed_again(tmp_path: Path, version: Path) -> None:
    job = make_job(tmp_path, version)
    done(job)
    before = {shard: job.shard_path(shard).stat().st_mtime_ns for shard in missing_of_none(job)}
    job.shard_path(1).write_bytes(b"damaged")
    completed = done(job)
    assert completed.particles == job.size(1)
    for shard, changed in before.items():
        assert (job.shard_path(shard).stat().st_mtime_ns == changed) == (shard != 1)


def test_a_shard_that_succeeds_in_the_end_is_not_told_as_set_aside(
    tmp_path: Path, version: Path
) -> None:
    job, attempts = make_job(tmp_path, version), Counter[int]()

    def compute(folder: Path, shard: int) -> Outcome:
        attempts[shard] += 1
        if shard == 1 and attempts[shard] <= ATTEMPTS:
            raise ValueError("passes")
        outcome = compute_shard(folder, shard)
        if shard == 2 and attempts[shard] == 1:
            job.shard_path(shard).write_bytes(b"damaged")
        return outcome

    completed = complete(job, lambda: Here(job.folder, compute), Progress(job.particles, 0))
    assert completed.aside == {}
    assert (list_results(job, 0)["reason"] == Reason.CLASSIFIED).all()


def test_a_full_disk_ends_the_run_at_once(tmp_path: Path, version: Path, monkeypatch) -> None:
    job = make_job(tmp_path, version)
    attempts: list[int] = []

    def full(folder: Path, shard: int) -> Outcome:
        attempts.append(shard)
        raise OSError(errno.ENOSPC, "No space left on device", "0000000.shard")

    with pytest.raises(InputError, match=rf"full disk .* {tmp_path}.*0000000.shard"):
        complete(job, lambda: Here(job.folder, full), Progress(job.particles, 0))
    assert attempts == [0]
    assert done(job).particles == 20


def test_a_worker_that_outlives_a_job_computes_the_next_one(tmp_path: Path, version: Path) -> None:
    job = make_job(tmp_path, version)
    compute_shard(job.folder, 0)
    shutil.rmtree(job.folder)
    another = plan(
        job.folder, replace(job.config, priors="ribosome:0.98"), version=version, model="one"
    )
    compute_shard(job.folder, 0)
    assert read_results(another.shard_path(0), job=another.digest, shard=0).rows.size == 4


def missing_of_none(job: Job) -> range:
    assert missing(job) == []
    return range(len(job.shards))


def test_a_tomogram_that_is_gone_sets_its_own_shards_aside(tmp_path: Path, version: Path) -> None:
    job = make_job(tmp_path, version)
    (tmp_path / "two.mrc").rename(tmp_path / "away")
    completed = done(job)
    rows = list_results(job, 0)
    assert len(completed.aside) == 3
    assert all("none: " in why and "two.mrc" in why for why in completed.aside.values())
    assert (rows["reason"][1::2] == Reason.SET_ASIDE).all()
    assert (rows["reason"][::2] == Reason.CLASSIFIED).all()
    write_lists(job)
    (tmp_path / "away").rename(tmp_path / "two.mrc")
    assert done(job).aside == {}
    assert not list((job.folder / "set_aside").iterdir())
    assert (list_results(job, 0)["reason"] == Reason.CLASSIFIED).all()
    write_lists(job)
    of_classes = list((job.folder / "classified" / "list_classes").iterdir())
    assert sum(len(read_particles(path)) for path in of_classes) == 20


def test_boxes_that_hold_nothing_do_not_stop_others(tmp_path: Path, version: Path) -> None:
    boxes = random_volumes(6)
    boxes[1], boxes[3, 5, 5, 5], boxes[4, 0, 0, 0] = 2.0, np.nan, np.inf
    np.save(tmp_path / "boxes.npy", boxes)
    config = BulkConfig(particles=str(tmp_path / "boxes.npy"), voxel_spacing=SPACING)
    job = plan(tmp_path / "job", config, version=version, model="one")
    done(job)
    rows = list_results(job, 0)
    wanted = [Reason.CLASSIFIED, Reason.CONSTANT, 0, Reason.NOT_FINITE, Reason.NOT_FINITE, 0]
    np.testing.assert_array_equal(rows["reason"], wanted)
    assert (rows["class"][[1, 3, 4]] == NOT_CLASSIFIED).all()
    page = write_page(job, gathered := write_lists(job), done(job)).read_text()
    assert "3 particles were not classified" in page
    assert gathered.confidences.counts[-1] == 3


@pytest.mark.parametrize("border", ["pad", "drop"])
def test_borders_are_counted(tmp_path: Path, version: Path, border: str) -> None:
    config = write_inputs(tmp_path)
    star = Path(config.particles)
    star.write_text(star.read_text() + "one 2 30 30\n")  # x near the border
    changed = BulkConfig(**{**vars(config), "border": border})
    job = plan(tmp_path / "job", changed, version=version, model="one")
    completed = done(job)
    gathered = write_lists(job)
    reason = Reason.PADDED if border == "pad" else Reason.DROPPED
    assert gathered.reasons == {Reason.CLASSIFIED: 20, reason: 1}
    words = "1 boxes reach out" if border == "pad" else "reach out of their tomogram (border=drop)"
    assert words in write_page(job, gathered, completed).read_text()


def test_lists_come_out_as_they_came_in(tmp_path: Path, version: Path) -> None:
    job = make_job(tmp_path, version)
    completed = done(job)
    gathered = write_lists(job)
    names = class_numbers_named(job.manifest)
    assert names == ("ribosome", "proteasome", "chaperonin", "unknown", "not_classified")
    came, went = (
        read_particles(path).blocks[""]
        for path in (Path(job.lists[0].path), job.folder / "classified" / "list.star")
    )
    assert went[list(came)].equals(came)
    numbers = np.where((rows := list_results(job, 0))["class"] < 0, 4, rows["class"] + 1)
    np.testing.assert_array_equal(went["rlnClassNumber"].astype(int), numbers)
    assert gathered.confidences.counts.sum() == 20
    page = write_page(job, gathered, completed).read_text()
    assert json.loads((job.folder / "plan" / "job.json").read_text())["digest"] in page
    assert "list.star" in page or "one" in page


def test_lists_of_one_name_come_out_apart_and_as_they_were_planned(
    tmp_path: Path, version: Path
) -> None:
    config = write_inputs(tmp_path, count=8)
    (tmp_path / "more").mkdir()
    other = tmp_path / "more" / "list.star"
    write_star(other, positions(6, seed=4), ["one"] * 6)
    both = replace(config, particles=f"{config.particles},{other}")
    job = plan(tmp_path / "job", both, version=version, model="one")
    done(job)
    gathered = write_lists(job)
    folder = job.folder / "classified"
    assert len(read_particles(folder / "00001" / "list.star")) == 8
    assert len(read_particles(folder / "00002" / "list.star")) == 6
    assert gathered.confidences.counts.sum() == 14
    write_star(other, positions(6, seed=4)[::-1], ["one"] * 6)  # while the job ran
    with pytest.raises(InputError, match=r"found a changed or missing one: .*more/list.star"):
        write_lists(job)
