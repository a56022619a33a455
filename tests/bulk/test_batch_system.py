"""SLURM as two scripts that run jobs here; PBS and LSF as far as the job they would submit."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import dask
import pytest

from tests.bulk.computing import compute
from tests.bulk.test_cluster import alive, ask, marks, opened, until
from tomodistill.bulk.batch_system import _KINDS, _cluster, _security, _settings
from tomodistill.bulk.cluster import ClusterConfig, open_backend
from tomodistill.errors import InputError

SECTION = {
    "cores": 2,
    "processes": 4,
    "memory": "1GB",
    "job-script-prologue": ["export LAB=yes"],
    "scheduler-options": {"host": "127.0.0.1"},
    "worker-extra-args": ["--host", "127.0.0.1"],
}
SBATCH = """#!/bin/sh
cp "$1" {jobs}.$$.script
setsid sh {jobs}.$$.script >> {jobs}.log 2>&1 &
echo $! >> {jobs}; echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
kill -- -$1; echo $1 >> {jobs}.cancelled
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> Iterator[Path]:
    """The file of its jobs' numbers, which are those of process groups."""
    jobs, folder = tmp_path / "jobs", tmp_path / "bin"
    folder.mkdir()
    for name, script in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (folder / name).write_text(script.format(jobs=jobs))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    with dask.config.set({"jobqueue.gpu": SECTION, "distributed.deploy.lost-worker-timeout": "1s"}):
        yield jobs
    for number in numbers(jobs):
        if alive(number):
            os.killpg(number, signal.SIGKILL)


def numbers(path: Path) -> list[int]:
    return list(map(int, path.read_text().split())) if path.exists() else []


def test_slurm_jobs_compute_and_follow_each_other(slurm, tmp_path):
    folder = tmp_path / "job"
    folder.mkdir()
    with opened(folder, cluster="slurm:gpu", workers="2") as backend:
        until(lambda: backend.room() == 4)
        assert set(ask(backend, *range(8)).values()) == {""}
        workers = dict(marks(folder).values())
        assert len(workers) == 2
        first, _ = numbers(slurm)
        os.killpg(first, signal.SIGKILL)  # its walltime is over
        until(lambda: len(numbers(slurm)) == 3 and backend.room() == 4)
        assert set(ask(backend, *range(8, 16)).values()) == {""}
        assert len({marks(folder)[shard][0] for shard in range(16)}) == 3
    assert set(numbers(slurm)) - {first} <= set(numbers(Path(f"{slurm}.cancelled")))
    until(lambda: not any(alive(pid) for pid, _ in marks(folder).values()), seconds=15)
    script = next(tmp_path.glob("jobs.*.script")).read_text()
    assert "export LAB=yes\nexport PYTHONPATH=" in script
    assert (folder / "logs").is_dir()


@pytest.mark.parametrize(
    ("system", "words"), [("slurm", "#SBATCH"), ("pbs", "#PBS"), ("lsf", "#BSUB")]
)
def test_every_batch_system_gets_a_job(tmp_path, system, words):
    config = ClusterConfig(cluster=system, workers="3")
    with dask.config.set({f"jobqueue.{system}.{name}": SECTION[name] for name in SECTION}):
        settings, security = _settings(config), _security(tmp_path)
        with _cluster(_KINDS[system], config, settings, tmp_path, security) as cluster:
            script = cluster.job_script()
    assert words in script
    assert "--nworkers" not in script  # a job is a worker
    assert f"--tls-key {tmp_path}" in script


def test_what_a_batch_system_lacks_is_said(tmp_path, slurm, monkeypatch):
    def refusal(cluster: str) -> str:
        with pytest.raises(InputError) as caught:
            open_backend(tmp_path, compute, ClusterConfig(cluster=cluster, workers="2"))
        return f"{caught.value}"

    assert "expected section nothing in jobqueue.yaml" in refusal("slurm:nothing")
    assert "found none of cores and memory" in refusal("slurm")
    assert "expected qsub" in refusal("pbs")
    (tmp_path / "bin" / "sbatch").write_text("#!/bin/sh\necho invalid partition >&2; exit 1\n")
    assert "invalid partition" in refusal("slurm:gpu")
