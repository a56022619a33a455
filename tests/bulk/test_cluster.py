"""Workers on this machine, of a batch system (as scripts), of a scheduler; and when they go."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.bulk.computing import DIES, DOZES, FAILS, compute
from tests.processes import ROOT, environment, free_port
from tomodistill.bulk.backends import Backend, Here
from tomodistill.bulk.cluster import ClusterConfig, open_backend
from tomodistill.errors import InputError

PATIENCE = 60  # seconds


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() < start + seconds
        time.sleep(0.05)


def marks(job: Path) -> dict[int, tuple[int, str]]:
    """Shard that was begun -> process, and its first core and device."""
    marks = [path for path in job.iterdir() if path.name.isdigit()]
    begun = {path.name: path.read_text().split() for path in marks}
    return {int(name): (int(of[0]), of[1]) for name, of in begun.items()}


def ask(backend: Backend, *shards: int) -> dict[int, str]:
    """Shard -> fault."""
    for shard in shards:
        backend.submit(shard)
    return {outcome.shard: outcome.fault for outcome in (backend.next() for _ in shards)}


@contextmanager
def opened(job: Path, **flags: str) -> Iterator[Backend]:
    backend = open_backend(job, compute, ClusterConfig(**flags))
    try:
        yield backend
    finally:
        backend.close()


@contextmanager
def process(*command: str, **variables: str) -> Iterator[psutil.Process]:
    """With all that it starts; in a session of its own, as in another terminal."""
    started = subprocess.Popen(
        [sys.executable, "-W", "error", *command],
        env=environment(**variables),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    family = [found := psutil.Process(started.pid)]
    try:
        yield found
    finally:
        family += found.children(recursive=True) if found.is_running() else []
        for each in family:
            if each.is_running():
                each.kill()
        started.communicate()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"cluster": "kubernetes"}, "local, none, slurm, pbs, lsf, tcp://host:port"),
        ({"workers": "0"}, "workers: auto or a number"),
        ({"workers": "many"}, "workers: auto or a number"),
        ({"cluster": "slurm"}, "workers=N"),
        ({"cluster": "scheduler.json"}, "a scheduler file"),
        ({"cluster": "tcp://127.0.0.1"}, "tcp://host:port"),
        ({"cluster": __file__}, "a scheduler file"),
    ],
)
def test_what_is_no_cluster_is_refused(flags, words):
    with pytest.raises(InputError, match=words):
        ClusterConfig(**flags)


def test_without_a_cluster_no_dask_is_loaded(tmp_path):
    code = f"""
import sys
from pathlib import Path
from tests.bulk.computing import compute
from tomodistill.bulk.cluster import ClusterConfig, open_backend
backend = open_backend(Path({str(tmp_path)!r}), compute, ClusterConfig(cluster="none"))
backend.submit(3)
print(type(backend).__name__, backend.next().shard, "distributed" in sys.modules)
"""
    said = subprocess.check_output([sys.executable, "-c", code], env=environment(), text=True)
    assert said.split() == [Here.__name__, "3", "False"]


def test_local_workers_have_cores_and_devices_of_their_own_and_come_back(
    tmp_path, capfd, monkeypatch
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    usable = sorted(os.sched_getaffinity(0))
    with opened(tmp_path) as backend:
        assert backend.room() == 4
        assert set(ask(backend, *range(20)).values()) == {""}
        workers = dict(marks(tmp_path).values())
        assert len(workers) == 2
        assert set(workers.values()) == {f"{usable[0]}:3", f"{usable[1 % len(usable)]}:5"}
        assert ask(backend, FAILS) == {FAILS: "ValueError: no such thing"}
        backend.submit(DIES)
        assert backend.next().lost
        until(lambda: backend.room() == 4)
        assert set(ask(backend, *range(20, 40)).values()) == {""}
        begun = marks(tmp_path)
        again = {begun[shard][0]: begun[shard][1] for shard in range(20, 40)}
        assert set(again.values()) == set(workers.values())  # the same again
        assert begun[DIES][0] not in again
    assert not any(psutil.pid_exists(pid) for pid in (*workers, *again))
    assert not list(Path.cwd().glob("dask*"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_nobody_is_left_when_the_client_is_stopped(tmp_path, stop):
    with process("-m", "tests.bulk.computing", str(tmp_path)) as client:
        until(lambda: len(marks(tmp_path)) == 2)
        workers = {pid for pid, _ in marks(tmp_path).values()}
        if stop == signal.SIGINT:
            os.killpg(client.pid, stop)  # as the terminal does
        else:
            client.kill()
        until(lambda: not any(map(alive, (client.pid, *workers))), seconds=15)


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@contextmanager
def scheduler(folder: Path) -> Iterator[tuple[Path, psutil.Process]]:
    file = folder / "scheduler.json"
    flags = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
    flags += ("--dashboard-address", "127.0.0.1:0")
    with process("-m", "distributed.cli.dask_scheduler", *flags) as running:
        until(file.is_file)
        yield file, running


@contextmanager
def worker(file: Path, **variables: str) -> Iterator[psutil.Process]:
    flags = ("--scheduler-file", str(file), "--host", "127.0.0.1", "--nthreads", "4")
    flags += ("--local-directory", str(file.parent))
    with process("-m", "distributed.cli.dask_worker", *flags, **variables) as running:
        yield running


def test_a_scheduler_that_dies_leaves_what_was_computed(tmp_path):
    with (
        scheduler(tmp_path) as (file, running),
        worker(file),
        opened(tmp_path, cluster=str(file)) as backend,
    ):
        assert ask(backend, 1, 2) == {1: "", 2: ""}
        backend.submit(DOZES)
        backend.submit(DOZES + 1)  # waits: one shard at a time, whatever threads there are
        until((tmp_path / f"{DOZES}").is_file)
        running.kill()
        start = time.monotonic()
        with pytest.raises(InputError, match="the same command goes on"):
            backend.next()
        assert time.monotonic() < start + 15
        assert set(marks(tmp_path)) == {1, 2, DOZES}


def test_workers_with_another_program_are_refused(tmp_path):
    (tmp_path / "tomodistill").mkdir()
    (tmp_path / "tomodistill" / "__init__.py").touch()
    with (
        scheduler(tmp_path) as (file, _),
        worker(file, PYTHONPATH=str(tmp_path)),
        pytest.raises(InputError, match="No module named"),
        opened(tmp_path, cluster=str(file)),
    ):
        raise AssertionError


def test_a_worker_that_comes_later_with_another_program_computes_nothing(tmp_path):
    folder = tmp_path / "src"
    shutil.copytree(ROOT / "src", folder, ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "tomodistill" / "errors.py").open("a") as file:
        file.write("\n")
    later = os.pathsep.join((str(folder), str(ROOT)))
    with (
        scheduler(tmp_path) as (file, _),
        worker(file) as first,
        opened(tmp_path, cluster=str(file)) as backend,
    ):
        assert ask(backend, 1) == {1: ""}
        first.kill()
        until(lambda: not alive(marks(tmp_path)[1][0]))
        with worker(file, PYTHONPATH=later):
            backend.submit(2)
            with pytest.raises(InputError, match=r"workers with .*; found OtherProgram"):
                backend.next()
    assert set(marks(tmp_path)) == {1}


def test_an_address_without_scheduler_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("tomodistill.bulk.dask_clusters._CONNECT", 0.5)
    with pytest.raises(InputError, match="a Dask scheduler that answers"):
        open_backend(tmp_path, compute, ClusterConfig(cluster=f"tcp://127.0.0.1:{free_port()}"))
