import ast
import os
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest

from tests.processes import wait_for
from tomodistill.tracking.owner import Owner, owner_of, owner_tags


@pytest.fixture
def this() -> Owner:
    owner = owner_of({**owner_tags(), "phase": "teacher"})
    assert owner is not None
    return owner


def test_this_process_lives(this: Owner) -> None:
    assert int(this.pid) == psutil.Process().pid
    assert this.is_local
    assert not this.is_gone


def test_a_run_without_all_tags_has_no_owner() -> None:
    tags = owner_tags()
    del tags["process.started"]
    assert owner_of(tags) is None
    assert owner_of({}) is None


def test_a_process_that_ended_is_gone_even_before_it_is_buried(this: Owner) -> None:
    code = "from tomodistill.tracking.owner import owner_tags; print(owner_tags())"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    owner = owner_of(ast.literal_eval(child.stdout.read()))
    child.stdout.close()
    assert owner is not None
    assert owner.is_local
    wait_for(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
    assert owner.is_gone
    child.wait()
    assert owner.is_gone


def test_a_pid_given_to_another_process_later(this: Owner) -> None:
    earlier = replace(this, started=f"{float(this.started) - 60:.2f}")
    assert earlier.is_gone


@pytest.mark.parametrize("seen", [psutil.NoSuchProcess, psutil.AccessDenied])
@pytest.mark.parametrize("answer", [None, PermissionError])
def test_a_process_that_is_hidden_is_not_gone(
    this: Owner, monkeypatch: pytest.MonkeyPatch, seen: type[psutil.Error], answer: type | None
) -> None:
    def look(pid: int) -> None:
        raise seen(pid)

    def kill(pid: int, number: int) -> None:
        assert (pid, number) == (int(this.pid), 0)
        if answer:
            raise answer

    monkeypatch.setattr(psutil, "Process", look)
    monkeypatch.setattr(os, "kill", kill)
    assert not this.is_gone


def test_what_cannot_be_seen_from_here_is_not_said_to_be_gone(this: Owner) -> None:
    for elsewhere in (replace(this, host="elsewhere"), replace(this, space="pid:[1]")):
        gone = replace(elsewhere, pid="999999999")
        assert not gone.is_local
        assert not gone.is_gone
