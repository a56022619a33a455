import pytest

from tomodistill.errors import InputError
from tomodistill.tracking.reuse import ensure


@pytest.fixture
def phase(client, tmp_path, monkeypatch, request):
    """`ensure` for a phase of this test; `made` counts how often it ran."""
    monkeypatch.setenv("TOMODISTILL_DATA", str(tmp_path))
    made = []

    def run(digest, *, load=lambda run: run.info.run_id, make=lambda: None, run_id=None):
        def count():
            made.append(digest)
            make()

        name = request.node.name
        return ensure(name, digest=digest, name="a run", make=count, load=load, run_id=run_id)

    run.made = made
    return run


def refuse(run):
    raise InputError(expected="its files", found=f"none of {run.info.run_id}", todo="Wait.")


def test_the_same_inputs_are_not_run_twice(phase):
    first = phase("a")
    assert phase("a") == first
    assert phase("b") != first
    assert phase.made == ["a", "b"]


def test_a_run_that_failed_is_not_found(phase, client):
    def fail():
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        phase("a", make=fail)
    phase("a")
    assert phase.made == ["a", "a"]


def test_a_result_that_is_gone_is_made_again(phase, capsys):
    first = phase("a")
    second = phase("a", load=lambda run: refuse(run) if run.info.run_id == first else "new")
    assert second == "new"
    assert phase.made == ["a", "a"]
    assert f"made again: its files: none of {first}" in capsys.readouterr().err


def test_an_error_that_is_no_loss_makes_nothing_again(phase):
    phase("a")

    def no_answer(run):
        raise ConnectionError("the store does not answer")

    with pytest.raises(ConnectionError):
        phase("a", load=no_answer)
    assert phase.made == ["a"]


def test_the_run_of_mlflow_run_points_to_what_was_found(phase, client):
    first = phase("a")
    opened = client.create_run("0").info.run_id
    phase("a", run_id=opened)
    run = client.get_run(opened)
    assert (run.info.status, run.data.tags["reused_run_id"]) == ("FINISHED", first)
    other = client.create_run("0").info.run_id
    assert phase("b", run_id=other) == other
