import json
import sys

import pytest

from tomodistill.networks.__main__ import main
from tomodistill.networks.table import NETWORKS

PAPER = {  # parameters (arXiv 1801.10597, Table 1; 1707.04885) and GFLOP at 40³, 23 classes
    "dsrf3d_v2": ("teacher", 18_316_599, 7.67),
    "rb3d": ("teacher", 263_334_103, 2.47),
    "cb3d": ("teacher", 61_309_335, 23.86),
    "s1": ("student", 1_014_071, 4.46),
    "s2": ("student", 506_039, 4.41),
    "s3": ("student", 161_639, 1.13),
}


def printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *flags: str
) -> str:
    monkeypatch.setattr(sys, "argv", ["networks", *flags])
    main()
    return capsys.readouterr().out


def test_json_holds_the_numbers_of_the_paper(monkeypatch, capsys) -> None:
    rows = json.loads(printed(monkeypatch, capsys, "--json"))
    assert {frozenset(row) for row in rows} == {frozenset(("name", "role", "parameters", "gflop"))}
    found = {r["name"]: (r["role"], r["parameters"], round(r["gflop"], 2)) for r in rows}
    assert {name: of for name, of in found.items() if name in PAPER} == PAPER
    fast = [gflop for name, (_, _, gflop) in found.items() if name not in PAPER]
    assert fast
    assert max(fast) < 7.67 / 20  # of the teacher


def test_table_for_people_and_another_box(monkeypatch, capsys) -> None:
    lines = printed(monkeypatch, capsys, "--box", "27", "--classes", "3").splitlines()
    assert len(lines) == len(NETWORKS)
    assert lines[5].split()[:3] == ["s3", "student", "141,139"]
