import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import BaseModel

from serving.answers import Prediction, write
from tomodistill.inference.classifier import Decisions
from tomodistill.inference.confidence import UNKNOWN

NAMES = ("a", "b", "c")


def predicted(classes: list[int], probabilities: list[list[float]], scores=None) -> list[dict]:
    decisions = Decisions(np.array(classes), np.array(probabilities, np.float32), scores)
    return [
        Prediction.of(decisions, row, NAMES).model_dump(by_alias=True)
        for row in range(len(classes))
    ]


@pytest.mark.parametrize(("shift", "expected"), [(0, "c"), (1, "a"), (2, "b")])
def test_class_is_the_most_probable_one(shift, expected):
    probabilities = np.roll([0.125, 0.25, 0.625], shift)
    (answer,) = predicted([int(probabilities.argmax())], [probabilities.tolist()])
    assert answer["class"] == expected
    assert answer["probability"] == 0.625
    assert answer["probabilities"][expected] == 0.625
    assert list(answer["probabilities"]) == ["a", "b", "c"]
    assert answer["unknown"] is answer["score"] is None


def test_what_is_rejected_is_unknown_and_still_has_its_probabilities():
    probabilities = [[0.25, 0.5, 0.25], [0.125, 0.125, 0.75]]
    rejected, kept = predicted([UNKNOWN, 2], probabilities, np.array([0.5, 7.25]))
    assert (rejected["class"], rejected["unknown"], rejected["score"]) == ("unknown", True, 0.5)
    assert (kept["class"], kept["unknown"], kept["score"]) == ("c", False, 7.25)
    assert rejected["probability"] == rejected["probabilities"]["b"] == 0.5


class Said(BaseModel):
    thread: str


@pytest.mark.parametrize(("count", "threaded"), [(64, False), (65, True)])
def test_long_answers_are_written_off_the_event_loop(count, threaded):
    with ThreadPoolExecutor(1, thread_name_prefix="prepare") as pool:
        app = SimpleNamespace(state=SimpleNamespace(service=SimpleNamespace(pool=pool)))
        answered = SimpleNamespace(prepared=SimpleNamespace(volumes=range(count)))
        writing = write(
            SimpleNamespace(app=app),
            answered,
            lambda _: Said(thread=threading.current_thread().name),
        )
        answer = asyncio.run(writing)
    assert json.loads(answer.body)["thread"].startswith("prepare") == threaded
