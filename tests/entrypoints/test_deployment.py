"""What becomes of the loop's students: promote -> serve -> POST, with a real server process."""

import json
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from entrypoints import promote, rollback, status
from entrypoints.__main__ import main as entry
from tests import processes
from tests.processes import post, the_set, wait_for
from tomodistill.errors import InputError
from tomodistill.inference.classifier import Classifier
from tomodistill.subtomograms.volumes import write_mrc
from tomodistill.tracking.registry import STUDENTS, download, in_production, previous, resolve


def test_the_gates_hold_and_force_is_audited(loop):
    before = in_production()
    with pytest.raises(InputError, match=r"val/accuracy_rate is .*speedup is"):
        promote.main(["--version", "1", "--min_speedup", "1e9", "--min_accuracy_rate", "9"])
    assert in_production() == before
    failed = MlflowClient().search_runs(["0"], "attributes.status = 'FAILED'")
    assert failed[0].data.tags["phase"] == "promote"
    promote.main(["--version", "1", "--min_speedup", "1e9", "--force", "true"])
    assert "speedup is" in in_production().tags["promoted.forced"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--version", "99"], "a model version at models:/subtomogram-student/99"),
        (["--version", "one"], "version: a whole number"),
        (["--student", "s1"], "a registered version of s1"),
        ([], "one of student=NAME"),
        (["--student", "s3", "--version", "1"], "one of student=NAME"),
    ],
)
def test_promotion_of_what_is_not_there(loop, arguments, words, capsys):
    assert entry(["promote", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_promote_rollback_status_and_stage(loop, capsys):
    gates_off = ["--min_speedup", "0", "--min_accuracy_rate", "0"]
    promote.main(["--version", "1", *gates_off])
    promote.main(["--student", "s3", *gates_off])  # the newest from soft labels
    assert (in_production().version, previous().version) == ("2", "1")
    assert resolve(f"models:/{STUDENTS}/Production").version == "2"
    rollback.main([])
    assert (in_production().version, previous().version) == ("1", "2")
    assert resolve(f"models:/{STUDENTS}/production").version == "1"
    status.main([])
    assert "in production: version 1 of subtomogram-student" in capsys.readouterr().out


def test_who_trains_nothing_needs_no_tensorflow(loop):
    commands = [
        ["promote", "--version", "1", "--force", "true"],
        ["promote", "--version", "2", "--force", "true"],
        ["rollback"],
        ["status"],
        ["export", "--version", "1", "--out", "without-tensorflow"],
    ]
    code = (
        "import json, sys; from entrypoints.__main__ import main;"
        "codes = [main(command) for command in json.loads(sys.argv[1])];"
        "print(codes, sorted({'keras', 'tensorflow', 'jax'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(commands)],
        env=processes.environment(mlflow.get_tracking_uri(), CUDA_VISIBLE_DEVICES="-1"),
        capture_output=True,
        text=True,
        timeout=processes.PATIENCE,
    )
    assert done.stdout.splitlines()[-1:] == ["[0, 0, 0, 0, 0] []"], done.stderr
    assert in_production().version == "1"
    assert Path("without-tensorflow/openvino.xml").is_file()


def test_other_classes_in_production_are_warned_of(loop, capsys):
    MlflowClient().set_model_version_tag(STUDENTS, "2", "class_names", "clpp, p97")
    promote.main(["--version", "2", "--force", "true"])
    assert "version 2 knows other classes" in capsys.readouterr().err
    assert "class_names          clpp, p97" in (status.main([]), capsys.readouterr().out)[1]
    promote.main(["--version", "1", "--force", "true"])
    assert "clpp, groel, rubisco; until now clpp, p97" in capsys.readouterr().err
    MlflowClient().set_model_version_tag(STUDENTS, "2", "class_names", "clpp, groel, rubisco")


def test_python_function_flavor_agrees_with_the_classifier(loop):
    version = resolve(f"models:/{STUDENTS}/1")
    probe = np.load(download(version, Path("data/models")) / "probe.npy")
    direct = Classifier.load(download(version, Path("data/models"))).probabilities(probe)
    flavored = mlflow.pyfunc.load_model(version.uri).predict(probe)
    np.testing.assert_allclose(flavored, direct, atol=1e-5)


def test_a_damaged_copy_is_fetched_again(loop):
    version = resolve(f"models:/{STUDENTS}/1")
    folder = download(version, Path("cache"))
    whole = (folder / "model.keras").read_bytes()
    (folder / "model.keras").write_bytes(whole[:-1])
    assert (download(version, Path("cache")) / "model.keras").read_bytes() == whole


def test_artifacts_changed_in_the_store_are_refused(loop):
    version = resolve(f"models:/{STUDENTS}/2")
    stored = Path(version_files(version)) / "manifest.json"
    original = stored.read_text()
    stored.write_text(original.replace('"student"', '"teacher"'))
    with pytest.raises(InputError, match="the version that was registered"):
        download(version, Path("another-cache"))
    stored.write_text(original)


def version_files(version):
    uri = MlflowClient().get_model_version_download_uri(version.name, version.version)
    return uri.removeprefix("file://")


@pytest.fixture
def service(loop):
    with processes.service(mlflow.get_tracking_uri()) as url:
        yield url


def test_posted_particles_come_back_from_the_version_in_production(service):
    promote.main(["--version", "1", "--force", "true"])
    data = the_set()
    volumes = data.volumes(data.rows("test")[:2])
    write_mrc(Path("particle.mrc"), volumes[0], data.header.voxel_spacing, data.header.contrast)
    np.save("particles.npy", volumes)
    wait_for(lambda: classify(service, "particle.mrc")["model"]["version"] == "1")
    one, stack = classify(service, "particle.mrc"), classify(service, "particles.npy")
    assert one["predictions"][0]["class"] == stack["predictions"][0]["class"]
    classifier = Classifier.load(download(resolve(f"models:/{STUDENTS}/1"), Path("data/models")))
    expected = classifier.probabilities(volumes)
    names = data.header.class_names
    answered = [[p["probabilities"][n] for n in names] for p in stack["predictions"]]
    np.testing.assert_allclose(answered, expected, atol=1e-4)
    promote.main(["--version", "2", "--force", "true"])  # no restart
    wait_for(lambda: classify(service, "particle.mrc")["model"]["version"] == "2")


def classify(service, file):
    return post(f"{service}/classify", Path(file).read_bytes())
