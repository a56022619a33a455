"""Where faults are played: a registry with versions sound and forged, and the service."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving_clients import Questions
from serving_processes import Server, client_of, registry_server, service_server, wait_until
from serving_versions import (
    Registered,
    questions,
    registered,
    sound,
    truncated,
    with_lambda,
    zip_bomb,
)

from tests.processes import entry_point, get, post
from tomodistill.tracking.registry import STUDENTS, set_production

SOUND = ("one", "two")  # names of versions, as the others
UNSEEN, CHANGED, TRUNCATED, LAMBDA, BOMB = "unseen", "changed", "truncated", "lambda", "bomb"
CACHE, TOLD, MARKER = "cache", "told-to-fail", "code-has-run"  # in the stage's folder
_PATIENCE = 60.0  # seconds for a service that runs
_VOLUMES = 6  # different questions
_DISK = "64m"  # of the cache, if it can have a disk of its own
# In which a slow sender's body must be there; in which the registry must have answered.
FLAGS = ("--body_seconds", "2", "--registry_seconds", "1")


@dataclass
class Stage:
    """The processes, and what was registered by which name."""

    folder: Path
    registry: Server
    service: Server
    versions: Mapping[str, Registered]  # by name
    questions: Questions
    own_disk: bool  # the cache has

    def store(self, name: str) -> Path:
        """Folder of a version's files in the artifact store."""
        of = self.versions[name].model_id
        (found,) = (self.registry.folder / "artifacts").rglob(f"{of}/artifacts")
        return found

    def forget(self, name: str) -> None:
        """Remove the cache's copy of a version."""
        for copy in (self.folder / CACHE / STUDENTS).glob(f"{self.versions[name].number}-*"):
            shutil.rmtree(copy)

    def promote(self, name: str) -> None:
        """It shall serve."""
        set_production(f"{self.versions[name].number}", {})

    def reload(self) -> None:
        """It shall look anew, also at what has failed. Raises OSError if it cannot serve it."""
        post(f"{self.service.url}/reload", b"")

    def ready(self) -> dict[str, Any]:
        """What the service says of itself. Raises OSError if it is not ready."""
        told: dict[str, Any] = get(f"{self.service.url}/health/ready")
        return told

    def serving(self) -> str:
        """Name of the version that does."""
        number = int(self.ready()["version"])
        return next(name for name, version in self.versions.items() if version.number == number)

    def other(self) -> str:
        """The sound version that does not serve."""
        return SOUND[self.serving() == SOUND[0]]

    def until_told(self, *words: str) -> None:
        """Until the service says why what it should serve does not serve; the old one goes on."""
        before = self.serving()

        def told() -> bool:
            error = self.ready()["refresh_error"] or ""
            return bool(error) and all(word in error for word in words)

        self._wait(told, f"the reason, {words}, why another version does not serve")
        if self.serving() != before:
            raise RuntimeError(f"version {self.serving()} took over from {before}")

    def until_followed(self) -> float:
        """Seconds until another version that is promoted now serves, and nothing is wrong."""
        name = self.other()
        self.promote(name)

        def follows() -> bool:
            return self.serving() == name and self.ready()["refresh_error"] is None

        return self._wait(follows, f"version {name} to serve")

    def mend(self) -> None:
        """Begin anew, after a fault that was not played to its end."""
        self.service.end(signal.SIGKILL)
        self.registry.end(signal.SIGKILL)  # it may be stopped
        self.registry.start()
        self.promote(SOUND[0])
        self.service.start()

    def _wait(self, condition: Callable[[], bool], what: str) -> float:
        try:
            return wait_until(condition, what, _PATIENCE)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; it said {self.ready()}") from error


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """Everything is made and registered, the registry runs, and no service yet."""
    registry = registry_server(folder / "registry")
    with _disk(folder / CACHE) as own_disk, client_of(registry):
        made = _made(folder / "made", folder / MARKER)
        versions = {name: registered(source) for name, source in made.items()}
        may_answer = {versions[name].number: made[name] for name in (*SOUND, UNSEEN)}
        asked = questions(may_answer, _VOLUMES)
        service = _service(folder, registry, entry_point("serve"))  # not started
        yield Stage(folder, registry, service, versions, asked, own_disk)


@contextmanager
def serving(stage: Stage, *, failing: bool) -> Iterator[None]:
    """The service runs; `failing`: the one whose engine fails when it is told to."""
    stage.registry.start()
    stage.promote(SOUND[0])
    command = entry_point("serve")
    if failing:
        (stage.folder / TOLD).mkdir(exist_ok=True)
        script = Path(__file__).with_name("serving_faulty.py")
        command = [sys.executable, "-P", f"{script}", f"{stage.folder / TOLD}"]
    stage.service = _service(stage.folder, stage.registry, command)
    try:
        stage.service.start()
        yield
    finally:
        stage.service.end(signal.SIGKILL)


def _service(folder: Path, registry: Server, command: Sequence[str]) -> Server:
    flags = ("--cache", f"{folder / CACHE}", *FLAGS)
    return service_server(folder / "service", registry.url, *flags, command=command)


def _made(folder: Path, marker: Path) -> dict[str, Path]:
    """Name -> folder of a version."""
    one, two = sound(folder, len(SOUND))
    return {
        SOUND[0]: one,
        SOUND[1]: two,
        UNSEEN: two,
        CHANGED: one,
        TRUNCATED: truncated(one, folder / TRUNCATED),
        LAMBDA: with_lambda(one, folder / LAMBDA, marker),
        BOMB: zip_bomb(one, folder / BOMB),
    }


@contextmanager
def _disk(folder: Path) -> Iterator[bool]:
    """A small disk at `folder`, where this user may mount one; whether there is."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", f"{folder}"]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", f"{folder}"], check=True)
