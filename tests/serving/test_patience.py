import threading

import pytest

from serving.patience import InTime
from tomodistill.tracking.versions import ResolvedVersion

VERSION = ResolvedVersion("s", "3", "models:/s/3")


def waiting():
    return [thread for thread in threading.enumerate() if thread.name == "registry"]


def test_a_registry_that_hangs_is_given_up_and_asked_once_at_a_time():
    answer, asked = threading.Event(), []

    def resolve(uri):
        asked.append(uri)
        assert answer.wait(60)
        return VERSION

    in_time = InTime(resolve, 0.01)
    for _ in range(3):
        with pytest.raises(TimeoutError, match=r"no answer within 0\.01 s"):
            in_time("uri")
        assert len(waiting()) == 1
    (thread,) = waiting()
    answer.set()
    thread.join()
    assert in_time("uri") is VERSION  # late
    assert asked == ["uri"]
    assert InTime(resolve, 60)("uri") is VERSION


def test_what_it_raises_is_raised_and_it_is_asked_again():
    def fail(uri):
        raise ConnectionError(uri)

    in_time = InTime(fail, 60)
    for uri in ("one", "two"):
        with pytest.raises(ConnectionError, match=uri):
            in_time(uri)
    assert not waiting()
