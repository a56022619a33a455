"""Keeps the version that a model URI points to loaded, and the old one while the new one is not.

One thread polls, loads beside the running model and swaps a single reference, so that a request
sees one version from its first byte to its answer. The version before stays loaded: if the new one
fails at its work, the old one is back at once. A service that cannot load what its URI points to
starts with the version that served last, from the cache.
"""

import logging
import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from serving.cache import LastGood, Note
from serving.loading import Served
from serving.metrics import Metrics
from serving.patience import Resolve
from tomodistill.errors import InputError
from tomodistill.machine import stand_behind
from tomodistill.tracking.versions import NoSuchVersion, ResolvedVersion

ERRORS = 3  # calls of the engine that fail one after the other, before a version is tested again
RETRY_SECONDS = 60.0  # before a version that did not load is tried again
_STOP_SECONDS = 10.0  # how long a stopping service waits for a load under way
_LONGEST_REASON = 300  # characters

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Failure:
    """Of a version that was to be loaded, or at its work."""

    version: ResolvedVersion
    reason: str
    retry_at: float  # seconds of time.monotonic

    def is_of(self, version: ResolvedVersion) -> bool:
        return self.version.identity == version.identity


class Follower:
    """Holds the `current` model, None until the first is loaded, and the `problem`, if any."""

    def __init__(
        self,
        uri: str,
        *,
        resolve: Resolve,
        load: Callable[[ResolvedVersion], Served],
        last_good: LastGood,
        metrics: Metrics,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self.current: Served | None = None
        self.problem: str | None = "the model is still loading"
        self._uri, self._resolve, self._load = uri, resolve, load
        self._last_good, self._swaps = last_good, metrics.swaps
        self._retry_seconds = retry_seconds
        self._previous: Served | None = None
        self._failure: _Failure | None = None
        self._errors = 0  # of `current`, one after the other
        self._recalled: Note | None = None
        self._looking = threading.RLock()  # one look at a time, and so one load
        self._swapping = threading.Lock()  # never held for long: the dispatcher waits for it

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
        with self._looking:
            problem = self._follow()
            with self._swapping:  # a call may have failed meanwhile
                self._tell(problem or (self._failure.reason if self._failure else None))

    def reload(self) -> bool:
        """Look once, also at a version that failed before; whether another one serves now."""
        with self._looking:
            before = self.current
            with self._swapping:
                self._failure = None
            self.refresh()
            return self.current is not before

    def heard(self, served: Served, error: Exception | None) -> None:
        """What came of a call of the engine of `served`: an `error`, or None."""
        if served is not self.current:
            return
        if error is not None:
            self._doubt(served, error)
        elif self._errors:
            self._trust(served)

    def _poll(self, stop: threading.Event, poll_seconds: float) -> None:
        stand_behind()  # the threads of an engine come from here
        while not stop.is_set():
            self.refresh()
            stop.wait(poll_seconds)

    def _follow(self) -> str | None:
        """Why what the URI points to is not what serves; None when it is."""
        try:
            problem = self._take(self._resolve(self._uri))
        except NoSuchVersion as error:  # whatever served once: nobody wants it any more
            return self._not_to_be_had(error)
        except Exception as error:  # a registry fails in many ways, and none may stop the service
            problem = self._not_to_be_had(error)
        if problem and self.current is None:
            self._recall()
        return problem and problem + self._from_cache()

    def _take(self, version: ResolvedVersion) -> str | None:
        """Serve that version; why not, if it cannot be."""
        with self._swapping:
            failure = self._failure
            if self.current and self.current.resolved.identity == version.identity:
                if failure and not failure.is_of(version):
                    self._failure = None  # nobody asks for that one any more
                return None
        if failure and failure.is_of(version) and time.monotonic() < failure.retry_at:
            return failure.reason
        try:
            served = self._load(version)
        except Exception as error:  # a broken version raises whatever its reader does
            return self._refuse(version, error)
        self._failure = None
        self._swap(served)
        return None

    def _refuse(self, version: ResolvedVersion, error: Exception) -> str:
        reason = f"{version.title} not loaded: {_reason(error)}"
        self._failure = _Failure(version, reason, time.monotonic() + self._retry_seconds)
        self._swaps.labels("failed").inc()
        return reason

    def _recall(self) -> None:
        """Serve what served last before this start. Tried once: a registry may come back."""
        if self._recalled or not (note := self._last_good.read()):
            return
        self._recalled = note
        try:
            served = self._load(note.resolved)
            note.check(served.folder)
        except Exception as error:
            _log.warning("%s not loaded from the cache: %s", note.resolved.title, _reason(error))
        else:
            self._swap(served)

    def _from_cache(self) -> str:
        """Where the current version comes from, in words."""
        if self.current and self._recalled:
            version = self._recalled.resolved
            if self.current.resolved.identity == version.identity:
                return f"; serving version {version.version} from the cache"
        return ""

    def _swap(self, served: Served) -> None:
        with self._swapping:
            self.current, self._previous, self._errors = served, self.current, 0
        self._swaps.labels("loaded").inc()
        engine, why = served.classifier.engine, served.classifier.why
        on = f"{engine.device} by {engine.name} in {engine.precision}: {why}"
        _log.info("serving %s on %s", served.resolved.title, on)
        self._note(served)

    def _note(self, served: Served) -> None:
        try:
            self._last_good.write(served.resolved, served.folder)
        except OSError as error:  # it serves all the same
            _log.warning("%s not noted in the cache: %s", served.resolved.title, _reason(error))

    def _doubt(self, served: Served, error: Exception) -> None:
        """Its own probe tells whether it is the version that fails, or what was sent."""
        self._errors += 1
        if self._errors % ERRORS == 0 and not served.passes_its_test():
            self._give_up(served, f"{self._errors} calls one after the other: {_reason(error)}")

    def _trust(self, served: Served) -> None:
        with self._swapping:
            self._errors = 0
            if self._failure and self._failure.is_of(served.resolved):
                self._failure = None  # the next look tells

    def _give_up(self, served: Served, failed: str) -> None:
        """Back to the version before, if there is one, until the URI points to another."""
        with self._swapping:
            if served is not self.current:
                return  # another took over meanwhile
            back = self._previous
            words = "was rolled back: it failed" if back else "has none to roll back to: it failed"
            reason = f"{served.resolved.title} {words} {failed}"
            self._failure = _Failure(served.resolved, reason, math.inf)
            if back:
                self.current, self._previous, self._errors = back, None, 0
            self._tell(reason)
        if back:
            self._swaps.labels("rolled_back").inc()
            self._note(back)

    def _tell(self, problem: str | None) -> None:
        if problem and problem != self.problem:  # once per cause, not once per poll
            _log.warning("%s; %s", problem, self._consequence())
        self.problem = problem

    def _not_to_be_had(self, error: Exception) -> str:
        return f"{self._uri} is not to be had: {_reason(error)}"

    def _consequence(self) -> str:
        if self.current is None:
            return "no model is served until then"
        return f"version {self.current.resolved.version} keeps serving"


def _reason(error: Exception) -> str:
    """One line, the same for the same cause: without the addresses of objects, or any login."""
    line = re.sub(r"0x[0-9a-f]+", "0x", f"{error}".partition("\n")[0])
    line = re.sub(r"://[^/\s]*@", "://", line)[:_LONGEST_REASON].removesuffix(".")
    return line if isinstance(error, InputError) else f"{type(error).__name__}: {line}"
