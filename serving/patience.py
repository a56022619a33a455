"""A registry that hangs must not hang the service."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait

from tomodistill.tracking.versions import ResolvedVersion

Resolve = Callable[[str], ResolvedVersion]


class InTime:
    """A `resolve` that is waited for so many seconds; while one call hangs there is no second."""

    def __init__(self, resolve: Resolve, seconds: float) -> None:
        self._resolve, self._seconds = resolve, seconds
        self._asked: Future[ResolvedVersion] | None = None

    def __call__(self, uri: str) -> ResolvedVersion:
        """Raises TimeoutError if there is no answer yet, and whatever `resolve` raises.

        An answer that came too late is that of the next call: a slow registry is followed slowly.
        """
        if self._asked is None:
            self._asked = Future()
            # A daemon: nothing that hangs keeps the process from ending.
            threading.Thread(
                target=self._ask, args=(uri, self._asked), name="registry", daemon=True
            ).start()
        if not wait([self._asked], self._seconds).done:
            raise TimeoutError(f"no answer within {self._seconds:g} s")
        asked, self._asked = self._asked, None
        return asked.result()

    def _ask(self, uri: str, asked: "Future[ResolvedVersion]") -> None:
        try:
            asked.set_result(self._resolve(uri))
        except Exception as error:  # in a thread that nobody watches
            asked.set_exception(error)
