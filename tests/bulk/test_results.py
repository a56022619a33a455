"""Results of a shard: whole, sealed, the first one stays."""

from pathlib import Path

import numpy as np
import pytest

from tomodistill.bulk.results import Reason, Results, read_results, write_results
from tomodistill.errors import InputError


def some(first: int = 0) -> Results:
    return Results(
        rows=np.arange(first, first + 3),
        classes=np.array([2, -1, -2], np.int16),
        probabilities=np.array([[0.1, 0.2, 0.7], [0.4, 0.3, 0.3], [np.nan] * 3], np.float32),
        scores=np.array([0.7, 0.4, np.nan]),
        reasons=np.array([Reason.CLASSIFIED, Reason.PADDED, Reason.CONSTANT], np.uint8),
        made_by="openvino in float32 on cpu: one",
    )


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "0000" / "0000007.shard"
    write_results(path, some(), job="abc", shard=7)
    found = read_results(path, job="abc", shard=7)
    for name, value in vars(some()).items():
        np.testing.assert_array_equal(getattr(found, name), value)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_the_first_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "0000007.shard"
    write_results(path, some(), job="abc", shard=7)
    write_results(path, some(first=100), job="abc", shard=7)
    assert read_results(path, job="abc", shard=7).rows[0] == 0
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("job", "shard", "harm"),
    [
        ("another", 7, lambda body: body),
        ("abc", 8, lambda body: body),
        ("abc", 7, lambda body: body[:-1]),
        ("abc", 7, lambda body: body[:500] + bytes([body[500] ^ 1]) + body[501:]),
        ("abc", 7, lambda body: b""),
    ],
    ids=["job", "shard", "torn", "flipped", "empty"],
)
def test_what_is_not_as_it_was_written_is_refused(tmp_path: Path, job, shard, harm) -> None:
    path = tmp_path / "0000007.shard"
    write_results(path, some(), job="abc", shard=7)
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(InputError, match="as they were written"):
        read_results(path, job=job, shard=shard)
