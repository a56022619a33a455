"""Bearer tokens from a file: several at once, changed without a restart, never shown."""

import logging
import os
import re
import time
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import TypeAlias

from tomodistill.errors import InputError

_LOOK_SECONDS = 1.0  # between two looks at the file
_FORBIDDEN = 0o027  # permissions: written by the group, or anything by others
_TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]{16,}=*")  # what a header may carry, long enough to keep
_MAKE = "python -c 'import secrets; print(secrets.token_urlsafe())'"

_Signature: TypeAlias = tuple[int, int, int]

_log = logging.getLogger(__name__)


class Tokens:
    """Those of one file, one a line; what follows a # is a comment."""

    def __init__(self, path: Path, *, flag: str) -> None:
        """`flag` named the file. Raises InputError if others may read it, or it has no token."""
        self._path, self._flag = path, flag
        self._digests = _read(path, flag)
        self._signature, self._looked = _signature(path), time.monotonic()

    def hold(self, token: bytes) -> bool:
        """Whether `token` is one of them; the time it takes does not tell which, or how close."""
        self._follow()
        given = sha256(token).digest()  # so that no comparison depends on a length
        return sum(compare_digest(given, own) for own in self._digests) > 0

    def _follow(self) -> None:
        """Take what the file has become; the last sound tokens stay if it cannot be used."""
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        if (signature := _signature(self._path)) == self._signature:
            return
        self._signature = signature
        try:
            self._digests = _read(self._path, self._flag)
            _log.info("%s: %d tokens hold now", self._flag, len(self._digests))
        except InputError as error:
            _log.error("%s: the tokens from before still hold: %s", self._flag, error)


def _signature(path: Path) -> _Signature | None:
    """Another one after every change; None: there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _read(path: Path, flag: str) -> list[bytes]:
    """The digest of every token. No error repeats what a line holds."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            lines = [line.partition(b"#")[0].strip() for line in file]
    except OSError as error:
        raise _refused(
            flag, f"{path}: {error.strerror}", f"Make it, or change {flag}=FILE."
        ) from error
    if mode & _FORBIDDEN:
        raise _refused(flag, f"{path} with mode {mode & 0o777:03o}", f"chmod 600 {path}")
    wrong = [n for n, line in enumerate(lines, 1) if line and not _TOKEN.fullmatch(line)]
    if wrong:
        raise _refused(flag, f"line {wrong[0]} of {path}, which is none", f"Make one: {_MAKE}")
    if not any(lines):
        raise _refused(flag, f"none in {path}", f"Make one: {_MAKE}")
    return [sha256(line).digest() for line in lines if line]


def _refused(flag: str, found: str, todo: str) -> InputError:
    return InputError(
        expected=f"{flag}: a file that others cannot read, of tokens of 16 or more letters "
        "and digits, one a line",
        found=found,
        todo=todo,
    )
