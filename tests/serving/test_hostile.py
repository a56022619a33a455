"""The requests of benchmarks/serving_hostile.py, fewer of them, against the application."""

import gc
import importlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

from serving import body, observing
from serving.batching import Job
from serving.body import Body
from tests.processes import wait_for
from tests.serving.bodies import npy, volumes
from tests.serving.listening import listening
from tests.versions import MANIFEST

ROOT = Path(__file__).parents[2]
VOLUME = volumes(1)[0]
COUNT = 60  # of each kind that is drawn

Module = Callable[[str], ModuleType]


@pytest.fixture
def module(monkeypatch) -> Module:
    """Of benchmarks/, where scripts import each other by name."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return lambda name: importlib.import_module(f"serving_{name}")


@pytest.fixture
def port(app, client, module, monkeypatch) -> Iterator[int]:
    """Of the application, which `client` has given its model, as the benchmark starts it."""
    # Hypothesis minds if others in its process draw from the common generator.
    monkeypatch.setattr(observing, "random", Random(1))
    wire, own = module("hostile_wire"), app.state.service
    own.config = replace(own.config, max_body_mib=wire.MAX_BODY_MIB, body_seconds=2.0)
    with listening(app) as (_, port):
        wait_for(lambda: own.follower.problem is None)
        yield port


def test_every_request_has_one_answer_and_a_bystander_the_right_one(
    port, module, classifiers, tmp_path
):
    wire, clients, files = module("hostile_wire"), module("clients"), module("hostile_files")
    tensors, bombs, http = (module(f"hostile_{name}") for name in ("tensors", "bombs", "http"))
    asked = volumes(3, seed=5)
    right = {1: classifiers["one"].probabilities(asked)}
    questions = clients.Questions(asked, MANIFEST.class_names, right)
    listed = [
        *http.framing_cases(VOLUME),
        *http.header_cases(VOLUME),
        *bombs.compressed_cases(VOLUME),
        *(case for case in bombs.json_cases() if len(case.sent) < 2**20 or "row" in case.name),
        *islice(module("hostile_queries").query_cases(VOLUME), 0, None, 20),
    ]
    with clients.asking(port, questions, clients=1, folder=tmp_path) as bystander:
        wait_for(lambda: len(bystander) > 0)
        played = wire.play_all(port, listed, at_once=4)
        for draw in (tensors.tensor_cases, files.npy_cases, files.mrc_cases):
            played += wire.play_drawn(port, draw(VOLUME), count=COUNT, start=1)
    assert [one for one in played if one.problem] == []
    assert len(played) > 400
    records = bystander.records()
    assert set(records["outcome"].tolist()) == {clients.RIGHT}
    assert set(records["status"].tolist()) == {200}


def test_the_service_is_as_it_describes_itself(port, module):
    played = module("hostile_schema").play_schema(
        f"http://127.0.0.1:{port}", VOLUME, examples=1, start=1
    )
    assert [one for one in played if one.problem] == []
    assert {200, 400, 404, 405, 415, 422} <= {status for one in played for status in one.statuses}


def test_nothing_of_a_request_is_kept_until_garbage_is_collected(client):
    asked = {npy(VOLUME): 200, npy(VOLUME[1:]): 422, npy(VOLUME)[:-1]: 400}

    def kept() -> list[Body | Job]:
        return [of for of in gc.get_objects() if isinstance(of, Body | Job)]

    gc.collect()
    gc.disable()
    before = kept()  # by tests whose threads go on
    try:
        for sent, status in asked.items():
            assert client.post("/classify", content=sent).status_code == status
        wait_for(lambda: len(kept()) <= len(before), seconds=10)
    finally:
        gc.enable()


def test_what_is_no_answer_or_too_much_of_one_is_seen(module):
    answers_in = module("hostile_wire").answers_in
    whole = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert [of.body for of in answers_in(interim + whole * 2)] == [b"hi", b"hi"]
    assert [of.body for of in answers_in(whole[:-2], bodies=False)] == [b""]
    injected = whole.replace(b"length: 2", b"length: 2\r\nx: \x00")
    for wrong in (whole[:-1], whole + b"x", whole[4:], whole.replace(b": 2", b": 2, 2"), injected):
        with pytest.raises(ValueError, match=r"bytes|no answer|lengths"):
            answers_in(wrong)


def test_json_is_tried_up_to_the_limit_of_the_service(module):
    assert module("hostile_bombs").JSON_LIMIT == body.JSON_LIMIT
