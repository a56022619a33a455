"""What a page shows of the particles: as the network saw them, and their mean where turned."""

from dataclasses import replace
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from tests.bulk.synthetic import positions, write_inputs
from tests.versions import BOX
from tomodistill.bulk.backends import Here
from tomodistill.bulk.complete import Completed, complete
from tomodistill.bulk.examples import averages, examples
from tomodistill.bulk.job import Job
from tomodistill.bulk.outputs import write_lists
from tomodistill.bulk.page import write_page
from tomodistill.bulk.plan import plan
from tomodistill.bulk.progress import Progress
from tomodistill.bulk.shard import compute_shard
from tomodistill.evaluation.class_averages import aligned_mean
from tomodistill.inference.preparation import prepare

ANGLES = np.random.default_rng(2).uniform(-90, 90, (20, 3)).round(2)


@pytest.fixture
def job(tmp_path: Path, version: Path) -> Job:
    """Planned, of a list with angles."""
    return turned_job(tmp_path, version)


def turned_job(folder: Path, version: Path, **changes: str) -> Job:
    config = write_inputs(folder)
    star = Path(config.particles)
    lines = [line for line in star.read_text().splitlines() if line]
    names = [f"_rlnAngle{name} #{at}" for at, name in enumerate(("Rot", "Tilt", "Psi"), 5)]
    rows = [" ".join([row, *map(str, of)]) for row, of in zip(lines[-20:], ANGLES, strict=True)]
    star.write_text("\n".join([*lines[:-20], *names, *rows, ""]))
    return plan(folder / "job", replace(config, **changes), version=version, model="one")


def done(job: Job) -> Completed:
    return complete(job, lambda: Here(job.folder, compute_shard), Progress(job.particles, 0))


def seen(folder: Path, job: Job) -> np.ndarray:
    """(20, e, e, e) particles as the network sees them, in the order of the list."""
    half, volumes = BOX // 2, []
    for row, (z, y, x) in enumerate(positions(20).tolist()):
        with mrcfile.open(folder / f"{('one', 'two')[row % 2]}.mrc") as file:
            box = file.data[z - half :, y - half :, x - half :][:BOX, :BOX, :BOX]
            volumes.append(np.array(box))
    spacing, contrast = job.facts.voxel_spacing, job.facts.contrast
    volumes = np.stack(volumes)
    return prepare(job.manifest, volumes, voxel_spacing=spacing, contrast=contrast).volumes


def test_examples_and_averages_are_of_their_classes(tmp_path: Path, job: Job) -> None:
    completed, wanted = done(job), seen(tmp_path, job)
    gathered = write_lists(job)
    shown, means = examples(job, gathered), averages(job, gathered)
    rows = {each.id: row for row, each in gathered.sampled.items()}
    assert sorted(rows.values()) == [*range(20)]
    for number, of in shown.items():
        chances = [each.probability for each in of]
        assert chances == sorted(chances, reverse=True)
        for each in of:
            np.testing.assert_allclose(each.volume, wanted[rows[each.id]], atol=1e-5)
        if number in means:
            mine = gathered.samples.of(number)[0]
            assert means[number].items == len(mine)
            mean = aligned_mean(wanted[mine], ANGLES[mine])
            np.testing.assert_allclose(means[number].volume, mean, atol=1e-5)
    assert len(means) >= 2
    page = write_page(job, gathered, completed).read_text()
    assert page.count("data:image/") > sum(map(len, shown.values()))


def test_angles_say_nothing_of_volumes_that_were_mirrored(tmp_path: Path, version: Path) -> None:
    job = turned_job(tmp_path, version, handedness="mirrored")
    done(job)
    gathered = write_lists(job)
    assert averages(job, gathered) == {}
    assert any(examples(job, gathered).values())


def test_volumes_that_are_gone_cost_the_page_its_examples_alone(tmp_path: Path, job: Job) -> None:
    completed = done(job)
    (tmp_path / "two.mrc").unlink()
    page = write_page(job, write_lists(job), completed).read_text()
    assert "no examples are shown" in page
    assert "two.mrc" in page
