"""Workers that are jobs of SLURM, PBS or LSF, as the jobqueue.yaml of the lab has them."""

import shlex
import shutil
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dask
from dask_jobqueue import LSFCluster, PBSCluster, SLURMCluster
from dask_jobqueue.core import JobQueueCluster
from distributed import Status
from distributed.deploy.spec import ProcessInterface
from distributed.security import Security

import tomodistill
from tomodistill.bulk.cluster import ClusterConfig
from tomodistill.bulk.dask_worker import ALLOCATOR
from tomodistill.errors import InputError

_KINDS = {"slurm": SLURMCluster, "pbs": PBSCluster, "lsf": LSFCluster}
_LOGS = "logs"  # of jobs, within the job folder


def submitted(config: ClusterConfig, job: Path, opened: ExitStack) -> JobQueueCluster:
    """A cluster whose jobs were submitted; each is one worker, with all cores that it gets.

    One that ends, perhaps at its walltime, is followed by another. Raises InputError without the
    batch system or its section in jobqueue.yaml, and for what it does not take.
    """
    kind, jobs = _KINDS[config.batch_system], int(config.workers)
    _check_there(kind, config)
    settings = _settings(config)
    opened.enter_context(dask.config.set({f"jobqueue.{config.section}": settings}))
    keys = opened.enter_context(TemporaryDirectory(prefix=".keys-", dir=job))
    cluster = opened.enter_context(_cluster(kind, config, settings, job, _security(Path(keys))))
    try:
        cluster.scale(jobs=jobs)
        cluster.sync(_all_submitted, cluster)
    except RuntimeError as error:
        raise InputError(
            expected=f"{jobs} jobs that {config.batch_system} takes",
            found=" ".join(str(error).split()),
            todo=f"Correct section {config.section} of jobqueue.yaml.",
        ) from error
    cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)
    return cluster


def _cluster(
    kind: type[JobQueueCluster],
    config: ClusterConfig,
    settings: dict[str, Any],
    job: Path,
    security: Security,
) -> JobQueueCluster:
    """Without jobs; its scheduler is in this process."""
    source = shlex.quote(str(Path(tomodistill.__file__).parents[1]))
    prologue = list(settings.get("job-script-prologue") or [])
    prologue += [f'export PYTHONPATH={source}:"$PYTHONPATH"']
    prologue += [f"export {name}={value}" for name, value in ALLOCATOR.items()]
    scheduler = settings.get("scheduler-options") or {}
    return kind(
        job_cls=type("Job", (_Closing, kind.job_cls), {}),
        config_name=config.section,
        processes=1,
        job_script_prologue=prologue,
        log_directory=settings.get("log-directory") or str(job / _LOGS),
        scheduler_options={"dashboard": False, "dashboard_address": ":0", **scheduler},
        security=security,
    )


class _Closing(ProcessInterface):
    """A job that knows when it was closed: the cluster asks for that, and fails without it."""

    async def close(self) -> None:
        await super().close()
        self.status = Status.closed


def _security(folder: Path) -> Security:
    """Only who can read that folder can be a worker or a client: others share the network."""
    made = Security.temporary()
    texts = {"ca_file": made.tls_ca_file, "key": made.tls_client_key, "cert": made.tls_client_cert}
    for name, text in texts.items():
        (folder / name).write_text(text)
    of_roles = {
        f"tls_{role}_{name}": str(folder / name)
        for role in ("client", "scheduler", "worker")
        for name in ("key", "cert")
    }
    return Security(require_encryption=True, tls_ca_file=str(folder / "ca_file"), **of_roles)


def _settings(config: ClusterConfig) -> dict[str, Any]:
    """Of a section; what it leaves out is as in that of the batch system."""
    sections = dask.config.get("jobqueue")
    merged: dict[str, Any] = dask.config.merge(
        sections[config.batch_system], sections.get(config.section, {})
    )
    missing = [name for name in ("cores", "memory") if merged.get(name) is None]
    if missing or config.section not in sections:
        raise InputError(
            expected=f"section {config.section} in jobqueue.yaml, with cores and memory of a job",
            found=f"none of {' and '.join(missing)}" if missing else ", ".join(sorted(sections)),
            todo="Write it into ~/.config/dask/jobqueue.yaml; see https://jobqueue.dask.org",
        )
    return merged


def _check_there(kind: type[JobQueueCluster], config: ClusterConfig) -> None:
    command = shlex.split(kind.job_cls.submit_command)[0]
    if shutil.which(command) is None:
        raise InputError(
            expected=f"{command}, which submits jobs to {config.batch_system}",
            found="none on this machine",
            todo="Run on a login node, or give cluster=local.",
        )


async def _all_submitted(cluster: JobQueueCluster) -> None:
    await cluster
    for job in cluster.workers.values():
        await job  # tries again where it failed, and raises what the cluster keeps for itself
