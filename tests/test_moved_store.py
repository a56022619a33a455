"""A real store in a checkout that is moved or copied: do its artifacts follow?"""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from tomodistill.inference.classifier import Classifier
from tomodistill.inference.version import read_manifest
from tomodistill.tracking.flavor import log_version
from tomodistill.tracking.registry import STUDENTS, download, register, resolve

SCRIPT = Path(__file__).parent.parent / "tools/moved_store.py"
CHOSEN = "/a/place/someone/chose/mlruns/x"


@pytest.fixture(scope="module")
def template(tmp_path_factory, version_folder):
    """The home of a store, with spaces in its path, and the same away from home."""
    home = tmp_path_factory.mktemp("checkouts") / "the old place"
    (home / "tools").mkdir(parents=True)
    shutil.copy(SCRIPT, home / "tools")
    before, uri = Path.cwd(), mlflow.get_tracking_uri()
    os.chdir(home)
    mlflow.set_tracking_uri(f"sqlite:///{home}/mlflow.db")
    MlflowClient().create_experiment("elsewhere", artifact_location=CHOSEN)
    fill_store(version_folder)
    os.chdir(before)
    mlflow.set_tracking_uri(uri)
    return home, Path(shutil.move(home, home.with_name("away")))


def fill_store(version_folder):
    def write(folder):
        shutil.copytree(version_folder, folder)
        return read_manifest(folder)

    with mlflow.start_run(run_name="a student"):
        mlflow.log_text("as it was", "note.txt")
        logged = log_version("student", write)
    register(logged.model_id, digest=logged.digest, tags={})


@pytest.fixture
def home(template):
    """The checkout at home, as it was before anything happened to it."""
    home, away = template
    shutil.copytree(away, home)
    uri = mlflow.get_tracking_uri()
    yield home
    mlflow.set_tracking_uri(uri)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def new(tmp_path):
    return tmp_path / "a new place"


def look(checkout, *arguments):
    """What set-up does in a checkout: exit status and message."""
    script = checkout / "tools/moved_store.py"
    command = [sys.executable, str(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert not done.stdout
    return done.returncode, done.stderr


def locations(checkout):
    """Every artifact location that the store holds."""
    with closing(sqlite3.connect(checkout / "mlflow.db")) as store:
        return [
            *store.execute("SELECT artifact_location FROM experiments ORDER BY experiment_id"),
            *store.execute("SELECT artifact_uri FROM runs"),
            *store.execute("SELECT artifact_location FROM logged_models"),
            *store.execute("SELECT storage_location FROM model_versions"),
        ]


def test_a_store_at_home_is_left_alone(home):
    before = (home / "mlflow.db").read_bytes()
    assert look(home) == (0, "")
    assert (home / "mlflow.db").read_bytes() == before
    assert not list(home.glob("*before-move*"))


def test_artifacts_follow_a_moved_checkout(home, new, tmp_path, monkeypatch):
    shutil.move(home, new)
    status, message = look(new)
    assert status == 0
    assert message.count("\n") == 1
    assert f"artifacts are in {new}/mlruns/ now, no more in {home}" in message
    assert look(new) == (0, "")  # once
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{new}/mlflow.db")
    version = resolve(f"models:/{STUDENTS}/1")
    assert Classifier.load(download(version, tmp_path / "cache")).manifest.network == "s3"
    note = mlflow.artifacts.download_artifacts(run_id=version.run_id, artifact_path="note.txt")
    assert Path(note).read_text() == "as it was"
    with mlflow.start_run() as run:
        mlflow.log_text("as it is", "note.txt")
    made = new / "mlruns/0" / run.info.run_id / "artifacts/note.txt"
    assert made.read_text() == "as it is"
    assert not home.exists()


def test_what_someone_chose_stays_and_the_old_store_is_kept(home, new):
    before = locations(home)
    shutil.move(home, new)
    look(new)
    after = locations(new)
    assert (CHOSEN,) in after
    changed = [(str(value).replace(f"{home}/", f"{new}/"),) for (value,) in before]
    assert after == changed
    (new / "mlflow.db.before-move").rename(new / "mlflow.db")
    assert locations(new) == before


def test_a_copy_decides_for_itself(home, new):
    shutil.copytree(home, new)
    theirs = (home / "mlflow.db").read_bytes()
    status, message = look(new)
    assert status == 1
    assert "python tools/moved_store.py --separate" in message
    assert f"MLFLOW_TRACKING_URI='sqlite:///{home}/mlflow.db'" in message
    assert (new / "mlflow.db").read_bytes() == theirs
    assert look(new, "--separate")[0] == 0
    assert {str(home) in value for (value,) in locations(new)} == {False}
    assert look(new) == (0, "")
    assert (home / "mlflow.db").read_bytes() == theirs


def test_a_copy_without_its_artifacts_does_not_lose_them(home, new):
    shutil.copytree(home, new)
    shutil.rmtree(new / "mlruns/0/models")
    before = locations(new)
    status, message = look(new, "--separate")
    assert status == 1
    assert f"cp -rn '{home}/mlruns/' '{new}'" in message
    assert locations(new) == before
    subprocess.run(["cp", "-rn", f"{home}/mlruns/", str(new)], check=True)
    assert look(new, "--separate")[0] == 0


def test_a_copy_of_a_store_without_artifacts_goes_its_own_way(home, new):
    shutil.copytree(home, new)
    for checkout in (home, new):
        shutil.rmtree(checkout / "mlruns")
    assert look(new)[0] == 0
    assert {str(home) in value for (value,) in locations(new)} == {False}


def test_a_link_at_the_old_place_is_the_same_checkout(home, new):
    shutil.move(home, new)
    home.symlink_to(new)
    assert look(new) == (0, "")
    home.unlink()


def test_a_store_in_use_is_not_touched(home, new):
    shutil.move(home, new)
    script = new / "tools/moved_store.py"
    script.write_text(script.read_text().replace("WAIT = 20.0", "WAIT = 0.1"))
    before = locations(new)
    with closing(sqlite3.connect(new / "mlflow.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        status, message = look(new)
    assert status == 1
    assert "database is locked. End what uses it" in message
    assert locations(new) == before


@pytest.mark.parametrize(("content", "status"), [(b"", 0), (b"no database" * 99, 1)])
def test_other_files_are_not_touched(tmp_path, content, status):
    shutil.copytree(SCRIPT.parent, tmp_path / "tools")
    (tmp_path / "mlflow.db").write_bytes(content)
    assert look(tmp_path)[0] == status
    assert (tmp_path / "mlflow.db").read_bytes() == content
