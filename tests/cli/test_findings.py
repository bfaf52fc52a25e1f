import json

import pytest
import typer

from gateway.cli.findings import instant_of, refuse, rows, write_sarif
from gateway.policies.findings import Finding, Place, Severity

FOUND = [Finding(Place("a.yaml", 2, 3), "wrong", "bad-date"), Finding(Place("b.yaml", 1, 1), "old", "list-stale")]


def test_a_refusal_prints_a_line_each_and_exits_1(capsys):
    with pytest.raises(typer.Exit) as left:
        refuse(FOUND, as_json=False)
    assert left.value.exit_code == 1
    assert capsys.readouterr().err == "a.yaml:2:3: wrong\nb.yaml:1:1: old\n"


def test_a_refusal_prints_json(capsys):
    with pytest.raises(typer.Exit):
        refuse(FOUND, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"ok": False, "findings": rows(FOUND)}


def test_a_row_says_place_code_and_severity():
    (row,) = rows([FOUND[1]._replace(severity=Severity.WARNING)])
    assert row == {
        "file": "b.yaml", "line": 1, "column": 1, "message": "old", "code": "list-stale", "severity": "warning"
    }  # fmt: skip


def test_sarif_is_written_where_a_file_is_named(tmp_path):
    write_sarif(None, FOUND)
    write_sarif(tmp_path / "found.sarif", FOUND)
    assert len(json.loads((tmp_path / "found.sarif").read_text())["runs"][0]["results"]) == 2
    with pytest.raises(typer.BadParameter, match="cannot be written"):
        write_sarif(tmp_path / "nowhere" / "found.sarif", FOUND)


def test_an_instant_is_a_date_a_time_or_now():
    assert instant_of("1970-01-02") == 86_400_000_000
    assert instant_of(None) > 1_700_000_000_000_000
    with pytest.raises(typer.BadParameter, match=r"`2026-3-1` is no date such as .*did you mean `2026-03-01`"):
        instant_of("2026-3-1")
