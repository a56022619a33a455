"""Keeps the version that a model URI points to loaded, and the old one while the new one is not.

One thread polls, loads beside the running model and swaps a single reference, so that a request
sees one version from its first byte to its answer.
"""

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from tomodistill.errors import InputError
from tomodistill.inference.choice import AUTO
from tomodistill.inference.classifier import Classifier

if TYPE_CHECKING:  # at run time the functions are handed in: this room works without a registry
    from tomodistill.tracking.registry import ResolvedVersion

RETRY_SECONDS = 60.0  # before a version that did not load is tried again
_STOP_SECONDS = 10.0  # how long a stopping service waits for a load under way
_LONGEST_REASON = 300  # characters

Resolve: TypeAlias = Callable[[str], "ResolvedVersion"]
Download: TypeAlias = Callable[["ResolvedVersion", Path], Path]
_Identity: TypeAlias = tuple[str, str, str | None]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Served:
    """A loaded version and what the registry knows of it."""

    classifier: Classifier
    resolved: "ResolvedVersion"
    priors: dict[str, float] | None = None  # of every class, as the user gave them; None: trained


@dataclass(frozen=True)
class _Failure:
    identity: _Identity
    reason: str
    retry_at: float  # seconds of time.monotonic


class Follower:
    """Holds the `current` model, None until the first is loaded, and the `problem`, if any."""

    def __init__(
        self,
        uri: str,
        *,
        cache: Path,
        resolve: Resolve,
        download: Download,
        engine: str = AUTO,
        precision: str = AUTO,
        priors: Mapping[str, float] | None = None,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self.current: Served | None = None
        self.problem: str | None = "the model is still loading"
        self._uri, self._cache = uri, cache
        self._resolve, self._download = resolve, download
        self._engine, self._precision = engine, precision
        self._priors, self._retry_seconds = priors, retry_seconds
        self._failure: _Failure | None = None

    @contextmanager
    def following(self, poll_seconds: float) -> Iterator[None]:
        """Refresh in a thread, now and every `poll_seconds`, until the block ends."""
        stop = threading.Event()
        thread = threading.Thread(
            target=self._poll, args=(stop, poll_seconds), name="model-follower", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(_STOP_SECONDS)

    def refresh(self) -> None:
        """Look once at what the URI points to, and swap if it is another version. Never raises."""
        problem = self._follow()
        if problem and problem != self.problem:  # once per cause, not once per poll
            _log.warning("%s; %s", problem, self._consequence())
        self.problem = problem

    def heard(self, served: Served, error: Exception | None) -> None:
        """What came of a call of the engine of `served`: an `error`, or None."""

    def _poll(self, stop: threading.Event, poll_seconds: float) -> None:
        while not stop.is_set():
            self.refresh()
            stop.wait(poll_seconds)

    def _follow(self) -> str | None:
        """Why what the URI points to is not what serves; None when it is."""
        try:
            resolved = self._resolve(self._uri)
        except Exception as error:  # a registry fails in many ways, and none may stop the service
            return f"{self._uri} is not to be had: {_reason(error)}"
        identity = _identity(resolved)
        if self.current and _identity(self.current.resolved) == identity:
            return None
        failure = self._failure
        if failure and failure.identity == identity and time.monotonic() < failure.retry_at:
            return failure.reason
        return self._load(resolved)

    def _load(self, resolved: "ResolvedVersion") -> str | None:
        try:
            folder = self._download(resolved, self._cache)
            classifier = Classifier.load(folder, engine=self._engine, precision=self._precision)
            priors = classifier.priors_of(self._priors) if self._priors else None
        except Exception as error:  # a broken version raises whatever its reader does
            reason = f"{resolved.name} version {resolved.version} not loaded: {_reason(error)}"
            retry_at = time.monotonic() + self._retry_seconds
            self._failure = _Failure(_identity(resolved), reason, retry_at)
            return reason
        self.current, self._failure = Served(classifier, resolved, priors), None
        engine, why = classifier.engine, classifier.why
        on = f"{engine.device} by {engine.name} in {engine.precision}: {why}"
        _log.info("serving %s version %s on %s", resolved.name, resolved.version, on)
        return None

    def _consequence(self) -> str:
        if self.current is None:
            return "no model is served until then"
        return f"version {self.current.resolved.version} keeps serving"


def _identity(resolved: "ResolvedVersion") -> _Identity:
    """With the run, since a registry made anew counts its versions from 1 again."""
    return resolved.name, resolved.version, resolved.run_id


def _reason(error: Exception) -> str:
    """One line, the same for the same cause: without the addresses of objects."""
    line = re.sub(r"0x[0-9a-f]+", "0x", f"{error}".partition("\n")[0])[:_LONGEST_REASON]
    return line if isinstance(error, InputError) else f"{type(error).__name__}: {line}"
