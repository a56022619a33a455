"""A registry that is a folder: versions, and a file that says which one the alias names.

Also a server process: `python -m tests.serving.folder_registry ROOT PORT`.
"""

import shutil
import sys
from pathlib import Path

from tomodistill.tracking.versions import NoSuchVersion, ResolvedVersion

URI = "models:/subtomogram-student@production"


class FolderRegistry:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.downloads: list[str] = []
        self.down = False

    def publish(self, version: str, source: Path) -> None:
        shutil.copytree(source, self.root / version)

    def promote(self, version: str) -> None:
        partial = self.root / "alias.partial"
        partial.write_text(version)
        partial.replace(self.root / "alias")

    def resolve(self, uri: str) -> ResolvedVersion:
        assert uri == URI
        if self.down:
            raise ConnectionError(f"store {object()} is gone")  # another text at each call
        alias = self.root / "alias"
        if not alias.exists():
            raise NoSuchVersion(expected="a production version", found="none", todo="Promote one.")
        return self.resolved(alias.read_text())

    def resolved(self, version: str) -> ResolvedVersion:
        return ResolvedVersion(
            "subtomogram-student",
            version,
            f"models:/subtomogram-student/{version}",
            "production",
            f"run{version}",
            {"student": "s3"},
        )

    def download(self, resolved: ResolvedVersion, cache: Path) -> Path:
        self.downloads.append(resolved.version)
        return self.root / resolved.version


def main() -> None:
    from serving.app import create_app
    from serving.config import ServiceConfig
    from serving.server import run

    root, port = sys.argv[1:]
    registry = FolderRegistry(Path(root))
    config = ServiceConfig(port=int(port), poll_seconds=0.1, max_body_mib=1)
    run(create_app(config, resolve=registry.resolve, download=registry.download), config)


if __name__ == "__main__":
    main()
