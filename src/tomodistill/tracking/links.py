"""Addresses of pages in the MLflow UI."""

import json
from collections.abc import Sequence
from urllib.parse import quote

from mlflow.entities import Run

from tomodistill.evaluation.comparison import Result
from tomodistill.tracking.pages import VIEW_KEY
from tomodistill.tracking.store import store_address

LOCAL_UI = "http://127.0.0.1:5000"  # where `mlflow ui` listens
_MODE = "workflowType=machine_learning"  # the UI opens in its GenAI mode otherwise


def run_url(run: Run) -> str:
    """The page of one run."""
    return f"{_base()}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}?{_MODE}"


def students_url(experiment_id: str) -> str:
    """The saved view of an experiment's finished trainings, the best first."""
    view = f"viewStateShareKey={VIEW_KEY}"
    return f"{_base()}/#/experiments/{experiment_id}/runs?{view}&{_MODE}"


def compare_url(results: Sequence[Result]) -> str:
    """The page that compares the runs of these results."""
    ids = [result.run_id for result in results]
    experiments = sorted({result.experiment_id for result in results})
    asked = f"runs={quote(json.dumps(ids))}&experiments={quote(json.dumps(experiments))}"
    return f"{_base()}/#/compare-runs?{asked}&{_MODE}"


def ui_hint() -> str:
    """What to do before a link leads anywhere; nothing with a tracking server, which is the UI."""
    return " (start it with `mlflow ui`)" if _base() == LOCAL_UI else ""


def _base() -> str:
    address = store_address()
    return address.rstrip("/") if address.startswith(("http://", "https://")) else LOCAL_UI
