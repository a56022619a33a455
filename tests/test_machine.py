import os
from pathlib import Path

import pytest

from tomodistill import machine
from tomodistill.machine import cores


@pytest.mark.parametrize(
    ("text", "expected"),
    [("max 100000", 4), ("250000 100000", 2), ("50000 100000", 1), ("900000 100000", 4)],
)
def test_a_container_uses_no_more_than_its_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    monkeypatch.setattr(machine, "_QUOTA", tmp_path / "cpu.max")
    assert cores() == 4
    (tmp_path / "cpu.max").write_text(text)
    assert cores() == expected
