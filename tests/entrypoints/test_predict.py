"""`predict` as its user meets it: lists in, classified lists out, and what goes wrong."""

import re
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from entrypoints import predict
from entrypoints.__main__ import main as entry
from tests.bulk.synthetic import write_inputs
from tests.processes import working_in
from tests.versions import CALIBRATION, PASSED, UNKNOWN, write_openvino_version
from tomodistill.bulk.job import Job
from tomodistill.inference.version import MANIFEST, file_digest
from tomodistill.particles.reading import read_particles
from tomodistill.tracking.flavor import log_version
from tomodistill.tracking.registry import register, set_production


@pytest.fixture(scope="module")
def version(tmp_path_factory) -> Path:
    known = {"calibration": CALIBRATION, "unknown": UNKNOWN}
    folder = tmp_path_factory.mktemp("version") / "one"
    return write_openvino_version(folder, seed=3, known=known, float32=PASSED)


@pytest.fixture
def flags(tmp_path, version, monkeypatch):
    """Of a job in a folder of its own, on this process alone."""
    config = write_inputs(tmp_path)
    monkeypatch.setenv("TOMODISTILL_DATA", str(tmp_path / "data"))
    return {
        "particles": config.particles,
        "tomograms": config.tomograms,
        "model": str(version),
        "out": str(tmp_path / "out"),
        "engine": "openvino",
        "shard": "4",
        "cluster": "none",
    }


def arguments(flags: dict[str, str], **changes: str) -> list[str]:
    return [text for name, value in {**flags, **changes}.items() for text in (f"--{name}", value)]


def test_the_student_in_production_classifies_a_list(tmp_path, version, flags, capsys):
    with working_in(tmp_path, f"sqlite:///{tmp_path}/mlflow.db"):
        with mlflow.start_run():
            logged = log_version("one", lambda to: copy(version, to))
        register(logged.model_id, digest=logged.digest, tags={"student": "s3"})
        set_production("1", {})
        predict.main(arguments(flags, model="models:/subtomogram-student@production"))
        shown = capsys.readouterr().out
        assert "predict: 20 particles in 6 shards" in shown
        assert "predict: list.star (RELION 3 or Warp, 20 particles) in one.mrc, two.mrc\n" in shown
        before, after = shown.split("not_classified")  # warnings stand on both sides of the counts
        assert "no clear vote" in before
        assert "no clear vote" in after
        assert re.search(r"unknown +\d+ +[\d.]+%", shown)
        [run] = MlflowClient().search_runs(["0"], "tags.phase = 'predict'")
        assert run.data.metrics["particles"] == 20
        assert run.data.metrics["particles_per_second"] > 0
        assert sum(v for k, v in run.data.metrics.items() if k.startswith("share/")) == 1
        assert run.data.tags["version"] == "subtomogram-student version 1"
        assert run.data.params["predict.shard"] == "4"
        assert [f.path for f in MlflowClient().list_artifacts(run.info.run_id)] == ["report.html"]
    listed = read_particles(tmp_path / "out" / "classified" / "list.star")
    assert listed.classes is not None
    assert len(listed) == 20


def copy(version: Path, to: Path):
    """As `write_version` does."""
    import shutil

    from tomodistill.inference.version import read_manifest

    shutil.copytree(version, to)
    return read_manifest(to)


def test_a_job_array_needs_no_store(tmp_path, flags, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # nobody there
    for part in ("2/3", "1/3"):
        assert entry(["predict", *arguments(flags, part=part)]) == 0
        assert not (tmp_path / "out" / "classified").exists()
    assert "4 shards" not in capsys.readouterr().out.splitlines()[-1]
    lines = [predict._progress(Job.open(tmp_path / "out"), part, 3).line() for part in (2, 3)]
    assert [line.partition(" particles")[0] for line in lines] == [
        "classified 8 of 8",
        "classified 0 of 4",
    ]
    assert entry(["predict", *arguments(flags, part="3/3")]) == 0
    assert (tmp_path / "out" / "report.html").exists()
    job = Job.open(tmp_path / "out")
    standing = job.standing()
    assert standing == set(range(len(job.shards)))


def test_a_shard_set_aside_ends_the_job_with_a_code_and_keeps_the_rest(tmp_path, flags, capsys):
    assert entry(["predict", *arguments(flags, part="1/2")]) == 0
    away = (tmp_path / "two.mrc").rename(tmp_path / "away")
    with working_in(tmp_path, f"sqlite:///{tmp_path}/mlflow.db"):
        assert entry(["predict", *arguments(flags)]) == 2
        told = capsys.readouterr().err
        assert re.search(r"expected every shard to be classified; found \d of 6", told)
        table = read_particles(tmp_path / "out" / "classified" / "list.star").blocks[""]
        lost = table["tomodistillClassName"] == "not_classified"
        assert 0 < lost.sum() <= 10
        away.rename(tmp_path / "two.mrc")
        assert entry(["predict", *arguments(flags)]) == 0
    table = read_particles(tmp_path / "out" / "classified" / "list.star").blocks[""]
    assert not (table["tomodistillClassName"] == "not_classified").any()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"part": "0/3"}, "part: all, or one of a job array"),
        ({"part": "4/3"}, "part: all, or one of a job array"),
        ({"particles": "none"}, "particles: particle lists or boxes"),
        ({"border": "mirror"}, "border: pad or drop"),
        ({"model": "models:/nobody@production"}, "a model version at models:/nobody@production"),
    ],
)
def test_mistakes_are_one_line(tmp_path, flags, capsys, changes, told):
    with working_in(tmp_path, f"sqlite:///{tmp_path}/mlflow.db"):
        assert entry(["predict", *arguments(flags, **changes)]) == 2
    message = capsys.readouterr().err
    assert told in message
    assert message.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_told(tmp_path, flags, capsys):
    (tmp_path / "file").write_text("")
    with working_in(tmp_path, f"sqlite:///{tmp_path}/mlflow.db"):
        assert entry(["predict", *arguments(flags, out=str(tmp_path / "file" / "out"))]) == 2
    assert "Give another with out=FOLDER" in capsys.readouterr().err


def test_nothing_is_written_over(tmp_path, flags, capsys):
    (tmp_path / "out" / "classified").mkdir(parents=True)
    assert entry(["predict", *arguments(flags, part="1/1")]) == 2
    assert "an empty folder, or that of a job; found classified in " in capsys.readouterr().err


def test_digests_name_the_model(tmp_path, version, flags):
    assert entry(["predict", *arguments(flags, part="1/1")]) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert file_digest(version / MANIFEST)[:12] in page
