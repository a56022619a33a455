import shutil
import subprocess

import pytest

from tomodistill.distillation.config import TeacherConfig
from tomodistill.tracking import provenance
from tomodistill.tracking.provenance import git_tags, phase_digest


def test_digest_depends_on_configuration_and_inputs():
    def digest(**inputs):
        return phase_digest(packages=("networks",), **inputs)

    one = digest(data="a", config=TeacherConfig())
    assert one == digest(data="a", config=TeacherConfig())
    assert (
        len(
            {
                one,
                digest(data="b", config=TeacherConfig()),
                digest(data="a", config=TeacherConfig(epochs=99)),
            }
        )
        == 3
    )


def test_digest_depends_on_the_source_of_its_packages_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    for package in ("networks", "distillation"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "code.py").write_text("x = 1")
    before = phase_digest(packages=("networks",))
    (tmp_path / "distillation" / "code.py").write_text("x = 2")
    assert phase_digest(packages=("networks",)) == before
    (tmp_path / "networks" / "code.py").write_text("x = 2")
    assert phase_digest(packages=("networks",)) != before


def git(folder, *arguments):
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    subprocess.run(("git", "-C", folder, *identity, *arguments), check=True)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """The package in a git checkout with one commit."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    (tmp_path / "code.py").write_text("x = 1")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_git_commit_and_dirtiness(checkout):
    tags = git_tags()
    assert len(tags["git.commit"]) == 40
    assert tags["git.dirty"] == "false"
    (checkout / "code.py").write_text("x = 2")
    assert git_tags() == {**tags, "git.dirty": "true"}


def test_an_archive_has_no_tags(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    assert git_tags() == {}


def test_an_archive_does_not_take_the_tags_of_a_repository_around_it(checkout, monkeypatch):
    inside = checkout / "unpacked"
    inside.mkdir()
    (inside / "code.py").write_text("x = 1")
    monkeypatch.setattr(provenance, "PACKAGE", inside)
    assert git_tags() == {}


def test_without_git_there_are_no_tags(checkout, monkeypatch):
    monkeypatch.setenv("PATH", str(checkout))
    assert git_tags() == {}


def test_a_checkout_of_another_user_has_no_tags(checkout, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own switch for this
    assert git_tags() == {}
