import subprocess

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


def test_git_commit_and_dirtiness(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    assert git_tags() == {}  # no checkout

    def git(*arguments):
        identity = ("-c", "user.name=n", "-c", "user.email=e@example.org")
        subprocess.run(("git", "-C", tmp_path, *identity, *arguments), check=True)

    (tmp_path / "code.py").write_text("x = 1")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    tags = git_tags()
    assert len(tags["git.commit"]) == 40
    assert tags["git.dirty"] == "false"
    (tmp_path / "code.py").write_text("x = 2")
    assert git_tags() == {**tags, "git.dirty": "true"}
