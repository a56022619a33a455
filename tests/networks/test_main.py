import json
import sys

import pytest

from tomodistill.networks.__main__ import main

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
    assert [set(row) for row in rows] == [{"name", "role", "parameters", "gflop"}] * 6
    found = {r["name"]: (r["role"], r["parameters"], round(r["gflop"], 2)) for r in rows}
    assert found == PAPER


def test_table_for_people_and_another_box(monkeypatch, capsys) -> None:
    lines = printed(monkeypatch, capsys, "--box", "27", "--classes", "3").splitlines()
    assert len(lines) == 6
    assert lines[5].split()[:3] == ["s3", "student", "141,139"]
