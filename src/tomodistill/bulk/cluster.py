"""Which workers compute a job: this machine's, a batch system's, or those of a running scheduler.

Nothing of Dask is imported before it is asked for.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from tomodistill.bulk.backends import Backend, Compute, Here
from tomodistill.errors import InputError
from tomodistill.inference.choice import AUTO

LOCAL, NONE = "local", "none"
BATCH_SYSTEMS = ("slurm", "pbs", "lsf")  # jobqueue.yaml of the lab says how
_ADDRESS = re.compile(r"(tcp|tls)://.+:\d+")
_KNOWN = f"{LOCAL}, {NONE}, {', '.join(BATCH_SYSTEMS)}, tcp://host:port or a scheduler file"


@dataclass(frozen=True)
class ClusterConfig:
    """Where to compute; results do not depend on it. `predict` has it as flags."""

    cluster: str = LOCAL  # none, slurm[:section] (or pbs, lsf), tcp://host:port, scheduler file
    workers: str = AUTO  # of this machine, or jobs of a cluster; auto: one per GPU or core

    def __post_init__(self) -> None:
        if self.workers != AUTO and not (self.workers.isdecimal() and int(self.workers)):
            raise _refusal("workers: auto or a number", repr(self.workers), "Change it.")
        if self.batch_system:
            if self.workers == AUTO:
                raise _refusal("the number of jobs", "workers=auto", "Give workers=N.")
        elif self.cluster not in (LOCAL, NONE) and not _ADDRESS.fullmatch(self.scheduler):
            raise _refusal(f"cluster: {_KNOWN}", repr(self.cluster), "Choose one.")

    @property
    def batch_system(self) -> str:
        """Its name, or ""."""
        name = self.cluster.partition(":")[0]
        return name if name in BATCH_SYSTEMS else ""

    @property
    def section(self) -> str:
        """Of jobqueue.yaml."""
        return self.cluster.partition(":")[2] or self.batch_system

    @property
    def scheduler(self) -> str:
        """Address of one that runs, as given or as the file says that it wrote."""
        file = Path(self.cluster)
        return _address_in(file) if file.is_file() else self.cluster


def open_backend(job: Path, compute: Compute, config: ClusterConfig) -> Backend:
    """What computes the shards of a job folder, ready to take some; close it in the end.

    Raises InputError if there are no such workers, or they cannot run this program.
    """
    if config.cluster == NONE:
        return Here(job, compute)
    from tomodistill.bulk.dask_backend import DaskBackend
    from tomodistill.bulk.dask_clusters import connected

    return DaskBackend(job.absolute(), compute, connected(config, job.absolute()))


def _address_in(file: Path) -> str:
    """What a scheduler file says; "" for any other file."""
    try:
        return str(json.loads(file.read_text())["address"])
    except (KeyError, TypeError, ValueError):
        return ""


def _refusal(expected: str, found: str, todo: str) -> InputError:
    return InputError(expected=expected, found=found, todo=todo)
