"""A version of the registry by name; what holds one needs no MLflow."""

from dataclasses import dataclass, field

from tomodistill.errors import InputError

DIGEST_TAG = "version.sha256"  # of the manifest, which names the sha256 of every other file


@dataclass(frozen=True)
class ResolvedVersion:
    """One version, whatever URI named it."""

    name: str
    version: str
    uri: str  # names this version and no other
    alias: str | None = None  # or stage, if one of them was asked for
    run_id: str | None = None
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[str | None, ...]:
        """With run and digest, since a registry made anew counts its versions from 1 again."""
        return self.name, self.version, self.run_id, self.tags.get(DIGEST_TAG)

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.name} version {self.version}"


class NoSuchVersion(InputError):
    """The registry answers, and has nothing of that name."""
