"""Own data at `smoke` scale, through real MLflow: ingested, trained on, mixed, as transfer set."""

import json
import re
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from entrypoints import distill, ingest, teacher
from entrypoints.__main__ import main as entry
from entrypoints.training_data import ensure_data
from tests.processes import working_in
from tomodistill import places
from tomodistill.errors import InputError
from tomodistill.inference.classifier import Classifier
from tomodistill.ingestion.experimental import label
from tomodistill.scales import configure
from tomodistill.subtomograms.dataset import SubtomogramSet, open_set
from tomodistill.tracking.registry import STUDENTS, download, resolve

SIDE = 27  # voxels
SMOKE = ["--scale", "smoke"]


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """A set of eight items of each of two classes, one of which is also simulated, and three of
    none; beside it a set of five without labels."""
    folder = tmp_path_factory.mktemp("ingest")
    rng = np.random.default_rng(6)
    for name, count in {"mine/clpp": 8, "mine/virus": 8, "mine/unlabelled": 3, "more": 5}.items():
        (folder / name).mkdir(parents=True)
        np.save(folder / name / "boxes.npy", rng.normal(size=(count, *[SIDE] * 3)))
    with working_in(folder, f"sqlite:///{folder}/mlflow.db"):
        yield ingested("mine"), ingested("more")


def ingested(particles) -> SubtomogramSet:
    given = {"voxel_spacing": "10", "contrast": "bright", "particles": particles}
    ingest.main([f"--{name}={text}" for name, text in given.items()])
    (run,) = [run for run in runs("ingest") if run.data.params["ingestion.particles"] == particles]
    (logged,) = mlflow.get_run(run.info.run_id).inputs.dataset_inputs
    return open_set(Path(json.loads(logged.dataset.source)["uri"]))


def runs(phase):
    finished = f"tags.phase = '{phase}' AND attributes.status = 'FINISHED'"
    return MlflowClient().search_runs(["0"], finished, order_by=["start_time"])


@pytest.fixture(scope="module")
def student(mine):
    """Trained on the one set and on the other as transfer set."""
    own, more = mine
    distill.main([*SMOKE, "--data", str(own.path), "--transfer", str(more.path)])
    return runs("distill")[0]


@pytest.fixture(scope="module")
def of_mix(mine):
    """A teacher on simulated and own items."""
    teacher.main([*SMOKE, "--data", f"simulated,{mine[0].path}"])
    return runs("teacher")[-1]


def test_a_set_is_found_again_and_shows_its_items(mine, capsys):
    assert ingested("mine").digest == mine[0].digest
    said = capsys.readouterr().out
    assert "ingest: found in run" in said
    assert "clpp                     5 + 1 + 2" in said
    assert "use it: mlflow run . -e distill -P data=/" in said
    run = runs("ingest")[0]
    assert run.data.metrics == {"items": 19, "classes": 2, "left_out": 0} | {
        name: value for name, value in run.data.metrics.items() if name.startswith("system/")
    }
    assert [file.path for file in MlflowClient().list_artifacts(run.info.run_id, "figures")] == [
        "figures/items.png"
    ]


def test_a_set_that_is_not_enough_alone_says_what_is_missing(mine, capsys):
    ingested("more")
    assert (
        f"-e distill -P data=OTHER -P transfer={mine[1].path.absolute()}" in capsys.readouterr().out
    )


def test_files_that_change_while_they_are_read_make_no_set(mine, monkeypatch):
    def written_again(*given):
        np.save("late/boxes.npy", np.zeros((3, *[SIDE] * 3)))
        return label(*given)

    Path("late").mkdir()
    np.save("late/boxes.npy", np.random.default_rng(7).normal(size=(3, *[SIDE] * 3)))
    monkeypatch.setattr(ingest, "label", written_again)
    before = set(places.sets().iterdir())
    with pytest.raises(InputError, match="files that stay as they are"):
        ingested("late")
    assert set(places.sets().iterdir()) == before


def test_a_student_of_own_data_is_registered(student, mine):
    own, more = mine
    folder = download(resolve(f"models:/{STUDENTS}/1"), Path("versions"))
    text = (folder / "manifest.json").read_text()
    assert "NaN" not in text
    manifest = json.loads(text)
    assert (manifest["class_names"], manifest["contrast"]) == (["clpp", "virus"], "bright")
    assert (manifest["tilt_range"], manifest["snr_range"]) == ([None, None], [None, None])
    assert manifest["digests"]["data"] == own.digest
    assert manifest["digests"]["transfer"] == more.digest
    classifier = Classifier.load(folder)
    assert np.isnan(classifier.manifest.tilt_range).all()
    assert classifier.decide(own.volumes(own.rows("test"))).classes.shape == (4,)
    assert manifest["calibration"]["priors"] == {"clpp": 0.5, "virus": 0.5}
    assert student.data.metrics["train/items"] == 10 + 3 + 5
    assert student.data.params["data.data"] == str(own.path)
    assert not [name for name in student.data.params if name.startswith("simulation.")]


def test_a_mix_says_how_each_part_does(of_mix, mine):
    measured = of_mix.data.metrics
    name = mine[0].path.stem
    assert measured["test/items"] == 6 + 4
    assert (measured["test/simulated/items"], measured[f"test/{name}/items"]) == (6, 4)
    right = 6 * measured["test/simulated/accuracy"] + 4 * measured[f"test/{name}/accuracy"]
    assert right == pytest.approx(10 * measured["test/accuracy"])
    (mix,) = runs("mix")
    assert mix.data.metrics["classes"] == 4
    assert of_mix.data.params["simulation.box"] == str(SIDE)


def test_box_and_spacing_are_those_of_the_set(mine, capsys):
    own = str(mine[0].path)
    scale = configure("smoke", {"data": own})
    assert scale.confidence.held_out == ()
    assert ensure_data(scale).digest == mine[0].digest
    assert "no half turns while training: a tilt range is unknown" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"box": "28"}, "box=27, that of .*; found box=28. Leave box out"),
        ({"voxel_spacing": "9"}, "voxel_spacing=10, that of .*; found voxel_spacing=9"),
        ({"classes": "clpp"}, "classes: not given where data names sets alone"),
        ({"data": "nowhere.h5"}, "found no file on this machine: nowhere.h5"),
        ({"data": "{more}"}, "two classes or more, .*; found no class: "),
        ({"transfer": "9"}, "found 9 items to simulate like "),
        ({"student_augment_noise": "0.1"}, "found subtomograms of unknown tilt range"),
        ({"held_out_a": "clpp", "held_out_b": "rubisco"}, "found clpp, which .* has"),
        ({"transfer": "{more},{more}"}, "transfer items, each once"),
    ],
)
def test_what_contradicts_the_set_is_refused_before_a_teacher(mine, capsys, flags, words):
    own, more = (str(of.path) for of in mine)
    given = {"data": own, "teacher_seed": "9", **flags}
    texts = [f"--{name}={text.format(more=more)}" for name, text in given.items()]
    before = len(runs("teacher"))
    assert entry(["distill", *SMOKE, *texts]) == 2
    assert re.search(words, capsys.readouterr().err)
    assert len(runs("teacher")) == before
