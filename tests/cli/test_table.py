from gateway.cli.table import counts_table, decisions_lines, decisions_table
from tests.core.test_exports import AMBIGUOUS, DENIED


def test_columns_are_as_wide_as_their_cells() -> None:
    heading, denied, ambiguous = decisions_table([DENIED, AMBIGUOUS])
    assert heading.split() == ["AT", "OUTCOME", "OPERATION", "REASON", "ACCOUNT", "ADDRESS", "COUNTRY", "RULES", "ID"]
    for line in (denied, ambiguous):
        assert line.index("deny") == heading.index("OUTCOME")
        assert line.index(DENIED["id"]) == heading.index("ID", heading.index("RULES"))
    assert "2026-11-21T09:30:00.123Z" in denied
    assert ambiguous.split()[2:8] == ["ambiguous", "ambiguous-request", "-", "-", "-", "-"]


def test_a_long_cell_is_cut() -> None:
    account = "a" * 200
    _, line = decisions_table([{**DENIED, "facts": {**DENIED["facts"], "account": account}}])
    assert account not in line
    assert "a" * 47 + "…" in line


def test_lines_that_come_one_by_one_keep_their_columns() -> None:
    line = decisions_lines()
    assert line(DENIED).index(DENIED["id"]) == line(AMBIGUOUS).index(DENIED["id"])


def test_counts_have_their_share() -> None:
    document = {
        "since": "A",
        "until": "B",
        "decisions": 4,
        "by": {"outcome": {"deny": 3, "allow": 1}, "reason": {}},
    }
    assert list(counts_table(document)) == [
        "4 decisions from A until B",
        "",
        "by outcome",
        "  deny   3   75.0 %",
        "  allow  1   25.0 %",
    ]
