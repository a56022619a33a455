import pytest
from fastapi import HTTPException

from serving.admission import Room
from serving.metrics import Metrics


def room(rate: float = 0.0) -> Room:
    return Room(100, Metrics(), seconds=1000, rate=lambda: rate)


def test_full_at_the_bound_and_empty_again():
    own = room()
    with own.entered(60), own.entered(40):
        assert own.inside == 100
        with pytest.raises(HTTPException) as refused, own.entered(1):
            pass
    assert refused.value.status_code == 429
    assert "100 of 100" in refused.value.detail
    assert own.inside == 0


def test_what_a_request_really_holds_counts():
    own = room()
    with own.entered(1) as ticket:
        ticket.hold(99)
        with own.entered(1):
            assert own.inside == 100
        ticket.hold(3)
        assert own.inside == 3
    assert own.inside == 0


def test_one_alone_may_be_larger_than_the_room():
    own = room()
    with own.entered(1000), pytest.raises(HTTPException), own.entered(1):
        pass


@pytest.mark.parametrize(("rate", "seconds"), [(0, "1"), (1000, "1"), (30, "4"), (0.1, "60")])
def test_clients_are_told_when_to_come_back(rate, seconds):
    own = room(rate)
    with own.entered(100), pytest.raises(HTTPException) as refused, own.entered(1):
        pass
    assert refused.value.headers == {"Retry-After": seconds}


def test_an_error_inside_frees_the_room():
    own = room()
    with pytest.raises(ZeroDivisionError), own.entered(100):
        raise ZeroDivisionError
    assert own.inside == 0


def test_a_thread_that_is_late_holds_nothing():
    own = room()
    with own.entered(1) as ticket:
        pass
    ticket.hold(50)
    assert own.inside == 0


def test_more_than_was_thought_is_refused_and_its_place_is_kept():
    own = room()
    with own.entered(90), own.entered(1) as ticket:
        ticket.hold(10)
        with pytest.raises(HTTPException, match="429"):
            ticket.hold(11)
        assert own.inside == 100
    assert own.inside == 0


def test_a_slow_engine_has_less_room():
    own = Room(100, Metrics(), seconds=15, rate=lambda: 2.0)
    with own.entered(29), own.entered(1), pytest.raises(HTTPException, match="30 of 30"):
        own.entered(1).__enter__()
