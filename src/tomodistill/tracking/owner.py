"""Which process works on a run: written into its tags, so that others can see whether it lives."""

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

_PREFIX = "process."
_SAME = 2.0  # seconds by which two looks at one process's start may differ


@dataclass(frozen=True)
class Owner:
    """One process, not to be mistaken for another that got its pid later."""

    host: str
    space: str  # of pids: containers on one host count their own
    pid: str
    started: str  # seconds after the host's start: the clock may be set meanwhile

    @property
    def is_local(self) -> bool:
        """Whether this process could see it."""
        return (self.host, self.space) == (platform.node(), _pid_space())

    @property
    def is_gone(self) -> bool:
        """Whether it certainly works no more; False for one that cannot be seen from here."""
        return self.is_local and not _runs(int(self.pid), float(self.started))


def owner_tags() -> dict[str, str]:
    """Tags that name this process."""
    owner = Owner(platform.node(), _pid_space(), str(os.getpid()), f"{_started(os.getpid()):.2f}")
    return {f"{_PREFIX}{name}": value for name, value in asdict(owner).items()}


def owner_of(tags: Mapping[str, str]) -> Owner | None:
    """The process that these tags of a run name, if any."""
    named = {name: tags.get(f"{_PREFIX}{name}") for name in Owner.__dataclass_fields__}
    known = {name: value for name, value in named.items() if value is not None}
    return Owner(**known) if len(known) == len(named) else None


def _runs(pid: int, started: float) -> bool:
    try:
        alive = psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        return alive and abs(_started(pid) - started) < _SAME
    except psutil.NoSuchProcess:  # of those that /proc shows: it may hide other users' (hidepid)
        return _answers(pid)
    except psutil.AccessDenied:
        return True


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return True


def _started(pid: int) -> float:
    return float(psutil.Process(pid).create_time() - psutil.boot_time())


def _pid_space() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return "host"  # macOS has no containers of its own
