import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tomodistill import machine
from tomodistill.machine import cores, stand_behind


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


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_who_stands_behind_takes_those_with_him_whom_he_starts() -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, 0)

    def behind() -> tuple[int, int]:
        stand_behind()
        with ThreadPoolExecutor(1) as started:
            return niceness(), started.submit(niceness).result()

    before = niceness()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(behind).result() == (before + 5, before + 5)
    assert niceness() == before
