"""The service that strangers are let loose on: a version in a folder, and short patience.

python -P benchmarks/serving_hostile_service.py FOLDER PORT MAX_BODY_MIB BODY_SECONDS
"""

import sys
from pathlib import Path

from serving.app import create_app
from serving.config import ServiceConfig
from serving.server import run
from tests.serving.folder_registry import FolderRegistry


def main() -> None:
    """Serve the version that the folder's alias names; all else is as users have it."""
    folder, port, mib, seconds = sys.argv[1:]
    registry = FolderRegistry(Path(folder))
    config = ServiceConfig(
        port=int(port),
        max_body_mib=int(mib),
        body_seconds=float(seconds),
        cache=f"{registry.root / 'cache'}",
    )
    run(create_app(config, resolve=registry.resolve, download=registry.download), config)


if __name__ == "__main__":
    main()
