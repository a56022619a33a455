import pytest

from serving.config import ServiceConfig
from tomodistill.errors import InputError


def test_limit_is_in_bytes():
    assert ServiceConfig().max_body_bytes == 268_435_456


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": -1},
        {"port": 65536},
        {"poll_seconds": 0.0},
        {"poll_seconds": float("nan")},
        {"poll_seconds": float("inf")},
        {"registry_seconds": 0.0},
        {"max_body_mib": 0},
        {"model": ""},
        {"host": ""},
        {"cache": ""},
        {"priors": ""},
        {"priors": "ribosome"},
        {"priors": "ribosome:1.5"},
        {"engine": "torch"},
        {"precision": "int4"},
    ],
)
def test_impossible_values_are_refused_by_name(wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=name):
        ServiceConfig(**wrong)


def test_priors_are_shares_or_as_trained():
    assert ServiceConfig().shares is None
    assert ServiceConfig(priors="ribosome:0.6,p97:0.1").shares == {"ribosome": 0.6, "p97": 0.1}
