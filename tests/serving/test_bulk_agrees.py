"""The same particle gets the same probabilities from the service, in bulk and in evaluation."""

import io
from pathlib import Path

import numpy as np

from tests.versions import BOX, SPACING, random_volumes
from tomodistill.bulk.backends import Here
from tomodistill.bulk.complete import complete
from tomodistill.bulk.config import BulkConfig
from tomodistill.bulk.merge import list_results
from tomodistill.bulk.plan import plan
from tomodistill.bulk.progress import Progress
from tomodistill.bulk.shard import compute_shard
from tomodistill.subtomograms.dataset import SetHeader, open_set, write_set
from tomodistill.subtomograms.items import Item

NAMES = ("ribosome", "proteasome", "chaperonin")


def write(path: Path, volumes: np.ndarray) -> None:
    """A set of a training: what is evaluated."""
    header = SetHeader("set", NAMES, BOX, SPACING, "dark", "right", {})
    nan = float("nan")
    items = [
        Item(volume, 0, f"set/{i}", "test", (nan,) * 7, i, nan, (-60.0, 60.0), nan)
        for i, volume in enumerate(volumes)
    ]
    write_set(path, header, lambda start: items[start:], len(items))


def test_one_particle_one_answer(tmp_path: Path, client, classifiers, versions) -> None:
    volumes, path = random_volumes(5), tmp_path / "set.h5"
    write(path, volumes)
    classifier, data = classifiers["one"], open_set(path)
    prepared = data.preprocessed(data.rows("test"), classifier.manifest.preprocessing)
    evaluated = classifier.decisions(classifier.engine.logits(prepared)).probabilities

    body = io.BytesIO()
    np.save(body, volumes)
    answer = client.post("/classify", content=body.getvalue()).json()
    served = [list(each["probabilities"].values()) for each in answer["predictions"]]
    np.testing.assert_allclose(served, evaluated, atol=1e-6)

    config = BulkConfig(particles=str(path))  # the set states voxel spacing and contrast
    job = plan(tmp_path / "job", config, version=versions["one"], model="one")
    assert (job.facts.voxel_spacing, job.facts.contrast_from) == (SPACING, "the files' headers")
    complete(job, lambda: Here(job.folder, compute_shard), Progress(job.particles, 0))
    np.testing.assert_allclose(list_results(job, 0)["probabilities"], evaluated, atol=1e-6)
