"""Reading exceptions: what they must say, and how little they may say it of."""

import re
from pathlib import Path

import pytest

from gateway.core.terms import Operation
from gateway.core.verdict import RuleRef
from gateway.policies.bundle import load
from gateway.policies.exceptions import ENTRY_FIELDS, EXCEPTIONS_FIELDS, LONGEST_DAYS, MOST_ENTRIES
from gateway.policies.findings import Rejected
from gateway.policies.rules import Exceptions
from gateway.policies.syntax import parse_file

DAY = 86_400_000_000
TEXT = """exceptions: desk
owner: compliance
entries:
  - id: settle
    operations: [login, withdraw]
    account: c-4711
    lifts: [us-exit/us-closed]
    reason: A court asks that the balance be paid out
    basis: Ticket 4711
    approved_by: head-of-legal
    from: 2026-11-01
    until: 2026-12-01
"""


def read(text: str = TEXT) -> Exceptions:
    parsed = parse_file("e.yaml", text)
    assert isinstance(parsed, Exceptions)
    return parsed


def test_an_exception_says_who_what_which_why_and_until_when() -> None:
    file = read()
    (one,) = file.entries
    assert (file.name, file.owner, one.name, one.owner) == ("desk", "compliance", "desk/settle", "compliance")
    assert one.operations == {Operation.LOGIN, Operation.WITHDRAW}
    assert one.when_text == 'account in ["c-4711"]'
    assert one.lifts == (RuleRef("us-exit", "us-closed"),)
    assert (one.reason, one.basis) == ("A court asks that the balance be paid out", "Ticket 4711")
    assert one.approved_by == "head-of-legal"
    assert one.end - one.start == 30 * DAY
    assert (one.place.line, one.lifts_at[0].line) == (4, 7)


@pytest.mark.parametrize(
    ("instead", "condition"),
    [
        ("account: 4711", 'account in ["4711"]'),
        ("accounts: [c-2, c-1, c-2]", 'account in ["c-1", "c-2"]'),
        ("network: partner-office", '"partner-office" in network'),
    ],
)
def test_it_is_for_accounts_or_for_one_network(instead: str, condition: str) -> None:
    assert read(TEXT.replace("account: c-4711", instead)).entries[0].when_text == condition


def test_it_lasts_from_its_first_instant_until_before_its_last() -> None:
    (one,) = read().entries
    assert [one.in_force(at) for at in (one.start - 1, one.start, one.end - 1, one.end)] == [False, True, True, False]


def test_ninety_days_are_the_most() -> None:
    assert LONGEST_DAYS == 90
    assert read(TEXT.replace("2026-12-01", "2027-01-30")).entries[0].end
    with pytest.raises(Rejected, match=r"e\.yaml:12:12: an exception lasts at most 90 days, and this one 91: renew it"):
        read(TEXT.replace("2026-12-01", "2027-01-31"))
    with pytest.raises(Rejected, match="and this one 91"):
        read(TEXT.replace("2026-12-01", "2027-01-30T00:00:01Z"))


@pytest.mark.parametrize(
    ("was", "instead", "line", "message"),
    [
        ("    from: 2026-11-01\n", "", 4, "the exception lacks `from`: every exception begins and ends"),
        ("    until: 2026-12-01\n", "", 4, "the exception lacks `until`: every exception begins and ends"),
        ("2026-12-01", "2026-10-01", 12, "`until` must be later than `from`: were they swapped?"),
        ("2026-12-01", "2026-11-01", 12, "`until` must be later than `from`: it would never be in force"),
        ("2026-12-01", "soon", 12, "`until` must be a date"),
        ("    account: c-4711\n", "", 4, "the exception names nobody: it takes exactly one of `account`"),
        ("    account: c-4711", "    account: c-4711\n    network: office", 4, "more than one way for whom it is"),
        ("account: c-4711", 'account: "*"', 6, "an exception is for somebody, never for everybody"),
        ("account: c-4711", "accounts: [c-1, c-*]", 6, "an exception is for somebody, never for everybody"),
        ("account: c-4711", "account: [c-1]", 6, "`account` takes the name of one"),
        ("account: c-4711", "accounts: c-1", 6, "`accounts` must be a list such as `[c-4711, c-4712]`"),
        ("account: c-4711", "accounts: []", 6, "at least one account, at most 20"),
        ("account: c-4711", f"accounts: [{', '.join(map(str, range(21)))}]", 6, "at least one account, at most 20"),
        ("account: c-4711", 'account: "a\\"b"', 6, "`account` takes the name of one"),
        ("[login, withdraw]", "[withdarw]", 5, "unknown operation `withdarw`: did you mean `withdraw`?"),
        ("[login, withdraw]", "full", 5, "`operations` must be a list such as `[withdraw]`"),
        ("[login, withdraw]", "[trade]", 5, "`trade` covers several operations: name those that are meant"),
        ("[login, withdraw]", "[unclassified]", 5, "whatever no route names: an exception says what it opens"),
        ("[login, withdraw]", "[view, login, withdraw, transfer, deposit]", 5, "at least one operation, at most 4"),
        ("us-exit/us-closed", "us-exit/*", 7, "each rule is named by itself"),
        ("us-exit/us-closed", "us-closed", 7, "names no rule: write `POLICY/RULE`"),
        ("[us-exit/us-closed]", "[]", 7, "at least one rule, at most 10"),
        ("head-of-legal", "compliance", 10, "owns the exception: somebody else approves it"),
        ("    reason: A court asks that the balance be paid out\n", "", 4, "lacks `reason`"),
        ("    basis: Ticket 4711\n", "", 4, "lacks `basis`"),
        ("basis:", "baiss:", 9, "unknown field `baiss` in the exception: did you mean `basis`?"),
        ("  - id: settle\n", "  - id: Settle!\n", 4, "is no name"),
        ("owner: compliance\n", "", 1, "the exceptions lacks `owner`"),
    ],
)
def test_what_says_too_little_or_opens_too_much_is_refused(was: str, instead: str, line: int, message: str) -> None:
    assert was in TEXT
    with pytest.raises(Rejected) as refused:
        read(TEXT.replace(was, instead))
    assert any(one.place.line == line and message in one.message for one in refused.value.findings), refused.value


def test_the_page_on_exceptions_shows_what_loads() -> None:
    page = (Path(__file__).parents[2] / "docs" / "exceptions.md").read_text()
    shown = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    bundle = load({f"{number}.yaml": text for number, text in enumerate(shown)}, sources_configured=None)
    assert [one.name for one in bundle.exceptions] == ["payouts/estate-of-a-customer"]
    assert {rule.id for rule in bundle.rules if rule.absolute} == {"cuba"}


@pytest.mark.parametrize("field", [*EXCEPTIONS_FIELDS, *ENTRY_FIELDS])
def test_every_field_is_on_the_page_of_exceptions(field: str) -> None:
    assert f"`{field}`" in (Path(__file__).parents[2] / "docs" / "exceptions.md").read_text()


def test_ids_are_unique_and_a_file_is_bounded() -> None:
    entry = TEXT[TEXT.index("  - id") :]
    with pytest.raises(Rejected, match="a second exception `desk/settle`"):
        read(TEXT + entry)
    many = "".join(entry.replace("settle", f"e{number}") for number in range(MOST_ENTRIES + 1))
    with pytest.raises(Rejected, match=f"more than {MOST_ENTRIES} exceptions: so many are a rule"):
        read(TEXT[: TEXT.index("  - id")] + many)
    assert read("exceptions: none\nowner: compliance\nentries: []\n").entries == ()


def test_an_exception_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(Rejected, match=r"e\.yaml:4:5: an exception is a mapping with `id`"):
        read("exceptions: desk\nowner: compliance\nentries:\n  - settle\n")
