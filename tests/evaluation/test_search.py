import optuna
import pytest

from tomodistill.errors import InputError
from tomodistill.evaluation.search import (
    REFERENCE,
    SPACE,
    Proposals,
    Search,
    architecture,
    parameters,
)
from tomodistill.networks.build import build, gflop
from tomodistill.networks.fast import Fast
from tomodistill.networks.table import FAST, network

BOX, CLASSES = 27, 3
NUMBER = 13  # of networks: some after the sampler has begun to learn


def asked(seed=0, *, favour=lambda fast: 0.5):
    """Names of what is proposed where each is told to be as accurate as `favour` says."""
    proposals, found = Proposals(box=BOX, classes=CLASSES, seed=seed), []
    for _ in range(NUMBER):
        found.append(proposals.ask())
        accuracy = favour(architecture(found[-1]))
        proposals.tell(found[-1], accuracy=accuracy, speedup=float(len(found)))
    return found


@pytest.fixture(scope="module")
def found():
    return asked()


def test_the_tables_own_come_first(found):
    assert found[: len(FAST)] == [*FAST]


def test_every_fast_student_of_the_table_is_in_the_space():
    for name in FAST:
        place = parameters(architecture(name))
        assert place.keys() == SPACE.keys()
        for parameter, value in place.items():
            assert SPACE[parameter]._contains(value), (name, parameter)


def test_a_place_in_the_space_holds_all_of_an_architecture():
    place = parameters(Fast.parse("fast-1.5-5s2w32-64x2-128x1"))
    assert place == {
        **{"binning": 1.5, "kernel": 5, "stride": 2, "width": 32},
        **{"filters1": 64, "depth1": 2, "filters2": 128, "depth2": 1},
        **{"filters3": 16, "depth3": 0},
    }


def test_each_is_proposed_once_under_the_name_of_the_table_if_it_has_one(found):
    assert len(set(map(architecture, found))) == NUMBER


def test_what_is_proposed_can_be_built_and_costs_little_beside_the_reference(found):
    most = gflop(build(REFERENCE, box=BOX, classes=CLASSES))
    for name in found:
        assert network(name).smallest_box <= BOX
        assert gflop(build(name, box=BOX, classes=CLASSES)) <= most / 25
    assert all(fast.stride <= fast.kernel for fast in map(architecture, found))


def test_the_same_seed_and_answers_bring_the_same_and_others_do_not(found):
    assert asked() == found
    other_seed = asked(seed=1)
    assert other_seed[: len(FAST)] == found[: len(FAST)]
    assert other_seed != found
    others = asked(favour=lambda fast: fast.width / 100)
    assert others[:8] == found[:8]  # not yet learned from
    assert others != found


def test_the_sampler_is_told_what_became_of_each(monkeypatch):
    studies = []
    create = optuna.create_study
    monkeypatch.setattr(
        optuna, "create_study", lambda **given: studies.append(create(**given)) or studies[0]
    )
    asked(favour=lambda fast: fast.width / 100)
    told = [trial for trial in studies[0].trials if trial.values]
    assert len(told) == NUMBER
    assert all(trial.values[0] == trial.params["width"] / 100 for trial in told)


def test_there_is_an_end(monkeypatch):
    fast = architecture("f1")
    monkeypatch.setattr(Proposals, "_propose", lambda self: fast)
    proposals = Proposals(box=BOX, classes=CLASSES, seed=0)
    assert [proposals.ask() for _ in range(len(FAST) + 1)] == [*FAST, None]


def test_a_box_too_small_for_the_reference_is_refused():
    with pytest.raises(InputError, match="8 voxels or more for dsrf3d_v2"):
        Proposals(box=7, classes=CLASSES, seed=0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("minutes", value) for value in (0.0, -1.0, float("nan"))),
        ("trials", 0),
        *(("search_seed", value) for value in (-1, 2**32)),
        *(("min_accuracy_rate", value) for value in (-0.1, float("nan"))),
    ],
)
def test_what_no_search_can_have_is_refused(field, value):
    with pytest.raises(InputError, match=field):
        Search(**{field: value})
