import mlflow
import pytest
from mlflow.tracking import MlflowClient


@pytest.fixture(scope="session")
def _database(tmp_path_factory):
    """A store is made once: its tables take seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('tracking')}/mlflow.db"


@pytest.fixture(scope="module")
def client(_database):
    """Of a store that the tests of this room share: what a test opens, it closes."""
    uri = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(_database)
    yield MlflowClient()
    mlflow.set_tracking_uri(uri)
