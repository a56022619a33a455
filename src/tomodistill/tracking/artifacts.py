"""Files in the store: fetched, or known to be lost."""

import re
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from tomodistill.errors import InputError

_LOST = "No such artifact|404 Client Error"  # on a disk; through a server


def size_of(uri: str) -> int:
    """Bytes of the files right in the folder that a URI names, as far as the store knows."""
    try:
        return sum(file.file_size or 0 for file in mlflow.artifacts.list_artifacts(uri))
    except MlflowException:
        return 0  # who fetches them learns why


def fetch(uri: str, folder: Path) -> Path:
    """Bring what a URI names into `folder`. Raises InputError if the store has lost it."""
    try:
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder)))
    except MlflowException as error:
        lost = error.error_code == "RESOURCE_DOES_NOT_EXIST" or re.search(_LOST, str(error))
        if not lost:
            raise  # a store that does not answer says nothing of the artifact
        raise InputError(
            expected=f"files at {uri}",
            found="none in the store",
            todo="If the checkout was moved: make setup. Else make them again.",
        ) from error
