"""The service that strangers are let loose on: a version of a small box, and short patience.

python benchmarks/serving_hostile_service.py FOLDER PORT
"""

import sys
from pathlib import Path

from serving.app import create_app
from serving.config import ServiceConfig
from serving.server import run
from tests.serving.folder_registry import FolderRegistry

MAX_BODY_MIB = 8  # as much as JSON may have, so that its worst is met too
BODY_SECONDS = 2.0  # for whoever announces more than he sends


def config(port: int = 0) -> ServiceConfig:
    """Everything else as users have it."""
    return ServiceConfig(port=port, max_body_mib=MAX_BODY_MIB, body_seconds=BODY_SECONDS)


def main() -> None:
    """Serve the version that the folder's alias names."""
    folder, port = sys.argv[1:]
    registry, own = FolderRegistry(Path(folder)), config(int(port))
    run(create_app(own, resolve=registry.resolve, download=registry.download), own)


if __name__ == "__main__":
    main()
