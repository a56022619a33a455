import base64
import json
import zlib

import pytest

from tomodistill.tracking.pages import VIEW_KEY, introduce

VIEW_TAG = f"mlflow.sharedViewState.{VIEW_KEY}"


@pytest.fixture
def experiment(client, request):
    return client.create_experiment(request.node.name)


def test_an_experiment_gets_a_view_that_ranks_by_validation(client, experiment):
    introduce(experiment)
    view = json.loads(client.get_experiment(experiment).tags[VIEW_TAG])
    packed = view["state"].removeprefix("deflate;")
    state = json.loads(zlib.decompress(base64.b64decode(packed)))
    assert view["name"] == "Students"
    assert state["orderByKey"] == "metrics.`val/accuracy`"
    assert state["orderByAsc"] is False
    assert "attributes.status = 'FINISHED'" in state["searchFilter"]
    assert {"metrics.`speedup`", "metrics.`test/accuracy`"} <= set(state["selectedColumns"])


def test_what_people_wrote_stays(client, experiment):
    client.set_experiment_tag(experiment, "mlflow.note.content", "our notes")
    introduce(experiment)
    tags = client.get_experiment(experiment).tags
    assert tags["mlflow.note.content"] == "our notes"
    assert VIEW_TAG in tags
