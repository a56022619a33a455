"""The loop at `smoke` scale against an MLflow server that keeps the artifacts: its clients know
nothing but its address."""

import io
import json
import subprocess
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from entrypoints import distill, promote, rollback, status
from tests import processes
from tests.processes import (
    SMALL_STUDENT,
    entry_point,
    environment,
    post,
    the_set,
    wait_for,
    working_in,
)
from tomodistill.distillation.soft_labels import read_soft_labels
from tomodistill.inference.classifier import Classifier
from tomodistill.inference.version import MANIFEST, file_digest
from tomodistill.tracking.registry import DIGEST_TAG, STUDENTS, download, in_production, resolve

GATES_OFF = ["--min_speedup", "0", "--min_accuracy_rate", "0"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with processes.mlflow_server(tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture(scope="module")
def first(server, tmp_path_factory):
    """Folder of the client that made the set, the teacher, its soft labels and student 1."""
    folder = tmp_path_factory.mktemp("first")
    command = entry_point("distill", *SMALL_STUDENT)
    subprocess.run(command, env=environment(server), cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def second(server, first, tmp_path_factory):
    """This process as another client, that starts with an empty folder and made student 2."""
    folder = tmp_path_factory.mktemp("second")
    with working_in(folder, server):
        distill.main([*SMALL_STUDENT, "--student_seed", "1"])
        yield folder


def runs(phase):
    finished = f"tags.phase = '{phase}' AND attributes.status = 'FINISHED'"
    return MlflowClient().search_runs(["0"], finished, order_by=["start_time"])


def test_teacher_and_soft_labels_come_from_the_server(first, second):
    assert [len(runs(p)) for p in ("teacher", "soft_labels", "distill")] == [1, 1, 2]
    one, two = (run.data.tags for run in runs("distill"))
    same = ("data.sha256", "soft_labels.sha256", "soft_labels.run_id", "teacher.run_id")
    assert {name: one[name] for name in same} == {name: two[name] for name in same}


def test_both_clients_have_the_same_set_and_teacher(first, second):
    of_first, of_second = (the_set(Path(folder)) for folder in (first, second))
    assert of_first.path.name == of_second.path.name
    digest = runs("distill")[0].data.tags["data.sha256"]
    assert [of_first.digest, of_second.digest] == [digest] * 2
    manifests = [next(Path(f, "data/models/teacher").rglob(MANIFEST)) for f in (first, second)]
    teacher = runs("teacher")[0].data.tags[DIGEST_TAG]
    assert [file_digest(path) for path in manifests] == [teacher] * 2


def test_clients_keep_neither_database_nor_artifacts(first, second):
    for folder in (first, second):
        assert {path.name for path in folder.iterdir()} == {"data"}


def test_artifacts_go_through_the_server(second, tmp_path):
    client = MlflowClient()
    for run in (run for phase in ("teacher", "soft_labels", "distill") for run in runs(phase)):
        assert run.info.artifact_uri.startswith("mlflow-artifacts:/")
    version = client.get_model_version_download_uri(STUDENTS, "2")
    assert version.startswith("mlflow-artifacts:/")
    labels = runs("soft_labels")[0]
    made = mlflow.artifacts.download_artifacts(
        run_id=labels.info.run_id, artifact_path="soft_labels.h5", dst_path=str(tmp_path)
    )
    assert read_soft_labels(Path(made)).digest == labels.data.tags["soft_labels.sha256"]


@pytest.mark.parametrize("number", ["1", "2"])
def test_registered_versions_are_what_was_registered(second, number, tmp_path):
    version = resolve(f"models:/{STUDENTS}/{number}")
    folder = download(version, tmp_path)
    assert file_digest(folder / MANIFEST) == version.tags[DIGEST_TAG]
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["training"]["seed"] == int(number) - 1
    shown = mlflow.get_run(version.run_id).data.metrics
    assert {name: shown[name] for name in manifest["metrics"]} == manifest["metrics"]


def test_the_service_follows_production_through_the_server(server, second, capsys):
    promote.main(["--version", "1", *GATES_OFF])
    volumes = some_volumes()
    with processes.service(server) as url:
        assert answered(url, volumes) == ("1", pytest.approx(expected("1", volumes), abs=1e-4))
        promote.main(["--version", "2", *GATES_OFF])
        wait_for(lambda: answered(url, volumes)[0] == "2")
        assert answered(url, volumes) == ("2", pytest.approx(expected("2", volumes), abs=1e-4))
        rollback.main([])
        wait_for(lambda: answered(url, volumes)[0] == "1")
    assert in_production().version == "1"
    status.main([])
    assert f"in production: version 1 of {STUDENTS}" in capsys.readouterr().out


def some_volumes():
    """(2, d, d, d) of the test part."""
    data = the_set()
    return data.volumes(data.rows("test")[:2])


def answered(url, volumes):
    """Version that answered, and its (n, classes) probabilities."""
    body = io.BytesIO()
    np.save(body, volumes)
    answer = post(f"{url}/classify", body.getvalue())
    of_particles = [list(p["probabilities"].values()) for p in answer["predictions"]]
    return answer["model"]["version"], np.array(of_particles)


def expected(number, volumes):
    folder = download(resolve(f"models:/{STUDENTS}/{number}"), Path("data/models"))
    return Classifier.load(folder).probabilities(volumes)
