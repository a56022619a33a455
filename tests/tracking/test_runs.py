import os

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from tomodistill.tracking.owner import owner_of
from tomodistill.tracking.runs import (
    close_as_killed,
    find_finished,
    phase_run,
    take_over_run,
)


def interrupted(error, digest):
    """Id of a run whose block raised `error`."""
    with pytest.raises(type(error)), phase_run("teacher", name="t", digest=digest) as run:
        raise error
    return run.info.run_id


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt(15), "KILLED"), (ValueError("bug"), "FAILED")]
)
def test_how_a_phase_ends_is_how_its_run_ends(client, error, status):
    run_id = interrupted(error, digest=status)
    assert client.get_run(run_id).info.status == status
    assert find_finished("teacher", status) is None
    assert mlflow.active_run() is None


def test_a_stop_ends_every_run_that_is_open(client):
    with pytest.raises(KeyboardInterrupt), phase_run("main", name="m") as outer:  # noqa: PT012
        interrupted(KeyboardInterrupt(2), digest="inner")
        raise KeyboardInterrupt(2)
    inner = client.search_runs(["0"], f"tags.`mlflow.parentRunId` = '{outer.info.run_id}'")
    assert [client.get_run(outer.info.run_id).info.status, inner[0].info.status] == ["KILLED"] * 2


def test_a_run_says_from_its_first_moment_who_works_on_it(client, monkeypatch):
    seen = []
    create = MlflowClient.create_run

    def watched(self, *args, **kwargs):
        seen.append(create(self, *args, **kwargs))
        return seen[-1]

    monkeypatch.setattr(MlflowClient, "create_run", watched)
    with phase_run("teacher", name="a name", digest="abc"):
        pass
    tags = client.get_run(seen[0].info.run_id).data.tags
    assert seen[0].data.tags == tags  # nothing was added later
    assert (tags["phase"], tags["phase.digest"]) == ("teacher", "abc")
    assert int(owner_of(tags).pid) == os.getpid()
    assert find_finished("teacher", "abc").info.run_name == "a name"


def test_the_run_of_mlflow_run_is_taken_over_once_and_owned_at_once(client, monkeypatch):
    opened = client.create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", opened)
    assert take_over_run() == opened
    assert take_over_run() is None
    assert int(owner_of(client.get_run(opened).data.tags).pid) == os.getpid()
    with phase_run("distill", name="d", run_id=opened) as run:
        assert run.info.run_id == opened
    assert client.get_run(opened).data.tags["phase"] == "distill"
    close_as_killed(opened)
    assert client.get_run(opened).info.status == "FINISHED"  # it had ended by itself


def test_a_run_whose_phase_never_began_is_closed_as_killed(client):
    for meanwhile in ("RUNNING", "FAILED"):  # the latter by `mlflow run`, after Ctrl-C
        opened = client.create_run("0").info.run_id
        client.update_run(opened, status=meanwhile)
        close_as_killed(opened)
        assert client.get_run(opened).info.status == "KILLED"
