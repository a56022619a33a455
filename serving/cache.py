"""Which version served last: what a service starts with while its registry is down."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tomodistill.errors import InputError
from tomodistill.inference.version import MANIFEST, file_digest
from tomodistill.subtomograms.files import whole_file
from tomodistill.tracking.versions import ResolvedVersion


@dataclass(frozen=True)
class Note:
    """A version that served."""

    resolved: ResolvedVersion
    digest: str  # sha256 of its manifest, which names that of every other file

    def check(self, folder: Path) -> None:
        """Raises InputError if the version in `folder` is another."""
        if file_digest(folder / MANIFEST) != self.digest:
            raise InputError(
                expected="the version that served last",
                found=f"another one in {folder}",
                todo="Start the registry.",
            )


class LastGood:
    """The note of one URI of one store, in a file that is whole or not there."""

    def __init__(self, cache: Path, *, store: str, uri: str) -> None:
        """`store`: version 3 of another one is another version."""
        name = hashlib.sha256(f"{store}\n{uri}".encode()).hexdigest()[:16]
        self._path = cache / "last_good" / f"{name}.json"

    def write(self, resolved: ResolvedVersion, folder: Path) -> None:
        """Note a version whose files lie in `folder`. Raises OSError if the disk is full."""
        noted = {"digest": file_digest(folder / MANIFEST), "version": asdict(resolved)}
        with whole_file(self._path) as partial:
            partial.write_text(json.dumps(noted, indent=2))

    def read(self) -> Note | None:
        """What was noted last; None if nothing was, or nothing that can be read."""
        try:
            noted = json.loads(self._path.read_text())
            return Note(ResolvedVersion(**noted["version"]), noted["digest"])
        except (OSError, ValueError, TypeError, KeyError):
            return None
