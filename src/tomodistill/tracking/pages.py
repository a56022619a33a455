"""What the MLflow UI shows of an experiment of ours: a description, and a saved view of the runs.

The UI keeps a saved view (columns, filter, order) as a tag of the experiment, its state as JSON,
deflated; seen in MLflow 3.17, of which a later UI may know more and this one nothing.
"""

import base64
import json
import zlib
from typing import Any

from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

VIEW_KEY = "trained-students"  # in the address of the view
_VIEW_TAG = f"mlflow.sharedViewState.{VIEW_KEY}"
_COLUMNS = {  # and their widths in pixels
    "metrics.`val/accuracy`": 120,
    "metrics.`test/accuracy`": 120,
    "metrics.`accuracy_rate`": 130,
    "metrics.`speedup`": 120,
    "metrics.`compression_rate`": 150,
    "metrics.`cost/parameters`": 140,
    "tags.`labels`": 80,
    "attributes.`Models`": 220,
    "attributes.`Dataset`": 220,
}
_ABOUT = """\
Subtomogram classifiers: a teacher, and students distilled from it.

*Views*, *Students*: every finished training, the best on the validation part first. Choose a
student by `val/accuracy` and `speedup`; `test/accuracy` is what it then reaches on unseen items.
The page of a `main` or `compare` run opens with the tables. Promote a student:
`mlflow run . -e promote -P student=s3`.
"""


def introduce(experiment_id: str) -> None:
    """Give the experiment its view and description, once; what people wrote there stays."""
    client = MlflowClient()
    given = client.get_experiment(experiment_id).tags
    ours = {_VIEW_TAG: _view(), MLFLOW_RUN_NOTE: _ABOUT}
    for name, value in ours.items():
        if name not in given:
            client.set_experiment_tag(experiment_id, name, value)


def _view() -> str:
    state: dict[str, Any] = {
        "searchFilter": "metrics.`val/accuracy` > 0 AND attributes.status = 'FINISHED' "
        "AND tags.`phase` != 'trial'",  # of a sweep
        "orderByKey": "metrics.`val/accuracy`",
        "orderByAsc": False,
        "selectedColumns": list(_COLUMNS),
        "columnOrder": list(_COLUMNS),
        "columnWidths": _COLUMNS,
    }
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    about = {"name": "Students", "createdAt": 0, "updatedAt": 0}
    return json.dumps({**about, "state": f"deflate;{packed}"})
