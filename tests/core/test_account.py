from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.account import (
    NARROWER,
    TRANSITIONS,
    Account,
    Author,
    Refused,
    add_flag,
    checked,
    consequences,
    difference,
    is_uid,
    may_become,
    narrow,
    new_account,
    remove_flag,
    set_documents,
    set_nationality,
    set_residence,
    set_status,
    set_verification,
    steps,
)
from gateway.core.countries import CONTINENT_OF
from gateway.core.terms import LEVELS, Access, Operation, Status, Verification

STANDS = tuple(TRANSITIONS)
OPENS = {
    Status.OPEN: Access.FULL,
    Status.EXIT_ONLY: Access.WITHDRAW_ONLY,
    Status.FLAGGED: Access.READ_ONLY,
    Status.RESTRICTED: Access.SUPPORT_ONLY,
    Status.ARCHIVED: Access.NONE,
}
"""What each status leaves open, as the shipped policy says."""

ALICE = new_account("alice")._replace(
    verification="full", documents=frozenset({"PT"}), residence="PT", nationality="PT", flags=frozenset({"staff"})
)


def widens(old: Status, new: Status) -> bool:
    return LEVELS[OPENS[old]] < LEVELS[OPENS[new]]


def test_every_status_an_account_may_have_is_in_the_table_and_only_those() -> None:
    assert set(STANDS) == set(Status) - {Status.NONE}
    for ways in TRANSITIONS.values():
        assert set(ways) <= set(STANDS)


@pytest.mark.parametrize(("old", "new"), [pair for pair in product(STANDS, STANDS) if pair[1] in TRANSITIONS[pair[0]]])
def test_a_way_back_needs_evidence_and_two_people_and_the_archive_evidence(old: Status, new: Status) -> None:
    transition = TRANSITIONS[old][new]
    if widens(old, new):
        assert (transition.by, transition.evidence) == ({Author.TWO_PEOPLE}, True)
    elif new == Status.ARCHIVED:
        assert (transition.by, transition.evidence) == ({Author.COMPLIANCE, Author.TWO_PEOPLE}, True)
    else:
        assert {Author.COMPLIANCE, Author.TWO_PEOPLE} <= transition.by


@pytest.mark.parametrize("alone", [one for one in Author if one is not Author.TWO_PEOPLE])
def test_a_rule_or_a_person_alone_only_ever_narrows(alone: Author) -> None:
    for old in STANDS:
        for new in may_become(old, alone):
            assert not widens(old, Status(new))
            assert new != Status.ARCHIVED or alone is Author.COMPLIANCE


def test_the_order_of_the_statuses_is_that_of_what_they_leave_open() -> None:
    assert set(NARROWER) == set(STANDS)
    for wider, narrower in pairwise(NARROWER):
        assert LEVELS[OPENS[narrower]] < LEVELS[OPENS[wider]]


@pytest.mark.parametrize("status", [Status.EXIT_ONLY, Status.FLAGGED, Status.RESTRICTED])
@pytest.mark.parametrize("stands", STANDS)
@pytest.mark.parametrize("by", [Author.POLICY, Author.TWO_PEOPLE])
def test_narrowing_never_lifts_an_account(stands: Status, status: Status, by: Author) -> None:
    account = ALICE._replace(status=str(stands))
    after = narrow(account, status, by=by)
    assert isinstance(after, Account)
    assert Status(after.status) == max(stands, status, key=NARROWER.index)


def test_narrowing_is_for_who_may() -> None:
    assert isinstance(narrow(ALICE, Status.RESTRICTED, by=Author.SUPPORT), Refused)


@pytest.mark.parametrize(("old", "new"), list(product((None, *STANDS), STANDS)))
def test_entering_flagged_or_restricted_asks_for_the_futures_orders_to_be_cancelled(
    old: Status | None, new: Status
) -> None:
    before = None if old is None else ALICE._replace(status=str(old))
    told = [each.type for each in consequences(before, ALICE._replace(status=str(new)))]
    if (old or Status.OPEN) == new:
        assert told == []
    elif new in {Status.FLAGGED, Status.RESTRICTED}:
        assert told == ["account.status_changed", "orders.cancel_requested"]
    else:
        assert told == ["account.status_changed"]


def test_what_is_told_of_a_change_of_status_says_from_where_to_where_and_which_orders() -> None:
    changed, cancel = consequences(ALICE, ALICE._replace(status="flagged"))
    assert (changed.account, dict(changed.data)) == ("alice", {"before": "open", "after": "flagged"})
    assert (cancel.account, dict(cancel.data)) == ("alice", {"orders": "futures", "status": "flagged"})


def test_no_single_change_gives_everything_back_to_the_restricted_or_the_archived() -> None:
    assert Status.OPEN not in TRANSITIONS[Status.RESTRICTED]
    assert set(TRANSITIONS[Status.ARCHIVED]) == {Status.RESTRICTED}


def test_every_status_can_be_reached_from_every_other() -> None:
    for start in STANDS:
        reached = {start}
        while more := {new for old in reached for new in TRANSITIONS[old]} - reached:
            reached |= more
        assert reached == set(STANDS)


@pytest.mark.parametrize("by", Author)
@pytest.mark.parametrize("evidence", [None, "", "  ", "TICKET-7"])
@pytest.mark.parametrize(("old", "new"), list(product(STANDS, STANDS)))
def test_a_status_changes_exactly_as_the_table_says(old: Status, new: Status, by: Author, evidence: str | None) -> None:
    account = ALICE._replace(status=str(old))
    result = set_status(account, str(new), by=by, evidence=evidence)
    transition = TRANSITIONS[old].get(new)
    if old == new:
        assert result == account
    elif transition is None:
        assert isinstance(result, Refused)
        assert f"`{old}` cannot become `{new}`; it can become" in result.message
        assert result.allowed == may_become(old, by)
    elif by not in transition.by:
        assert isinstance(result, Refused)
        assert " to decide" in result.message
        assert f"; not for {by}" in result.message
        assert new not in result.allowed
    elif transition.evidence and evidence != "TICKET-7":
        assert isinstance(result, Refused)
        assert "needs evidence" in result.message
    else:
        assert result == account._replace(status=str(new))
        assert type(result.status) is str


@pytest.mark.parametrize("status", ["none", "opn", "", "OPEN", "x" * 500])
def test_a_status_that_is_none_is_refused_with_those_that_are(status: str) -> None:
    result = set_status(ALICE, status, by=Author.COMPLIANCE, evidence="x")
    assert isinstance(result, Refused)
    assert result.allowed == tuple(map(str, STANDS))
    assert len(result.message) < 300


@pytest.mark.parametrize("flag", ["us-ip", "a", "0", "us-documents", "x" * 64])
def test_a_flag_goes_on_and_comes_off(flag: str) -> None:
    flagged = add_flag(ALICE, flag)
    assert isinstance(flagged, Account)
    assert flagged.flags == ALICE.flags | {flag}
    assert add_flag(flagged, flag) == flagged
    assert remove_flag(flagged, flag) == ALICE


@pytest.mark.parametrize("flag", ["", "-x", "US", "a b", "é", "a\n", "x" * 65, "a,b"])
def test_what_is_no_flag_is_refused(flag: str) -> None:
    result = add_flag(ALICE, flag)
    assert isinstance(result, Refused)
    assert (result.what, "a-z, 0-9" in result.message) == ("flag", True)


def test_a_flag_that_is_not_there_cannot_be_removed() -> None:
    assert remove_flag(ALICE, "us-ip") == Refused(
        "flag", "there is no flag `us-ip` on the account; it has staff", ("staff",)
    )
    assert remove_flag(new_account("x"), "us-ip") == Refused(
        "flag", "there is no flag `us-ip` on the account; it has none", ()
    )


@pytest.mark.parametrize("verification", Verification)
def test_verification_is_set(verification: Verification) -> None:
    assert set_verification(ALICE, str(verification)) == ALICE._replace(verification=str(verification))


def test_a_verification_that_is_none_is_refused_with_those_that_are() -> None:
    result = set_verification(ALICE, "ful")
    assert result == Refused(
        "verification",
        "`ful` is no verification; it is one of none, basic, full, institutional",
        ("none", "basic", "full", "institutional"),
    )


@given(st.frozensets(st.sampled_from(sorted(CONTINENT_OF))), st.sampled_from([None, *sorted(CONTINENT_OF)]))
def test_every_iso_country_may_be_named(countries: frozenset[str], country: str | None) -> None:
    assert set_documents(ALICE, countries) == ALICE._replace(documents=countries)
    assert set_residence(ALICE, country) == ALICE._replace(residence=country)
    assert set_nationality(ALICE, country) == ALICE._replace(nationality=country)


@pytest.mark.parametrize(
    ("code", "meant", "allowed"),
    [
        ("UK", "any more; did you mean GB?", ("GB",)),
        ("EL", "any more; did you mean GR?", ("GR",)),
        ("YU", "did you mean BA, HR, ME, MK, RS or SI?", ("BA", "HR", "ME", "MK", "RS", "SI")),
        ("pt", "did you mean `PT`?", ("PT",)),
        ("PRT", "two capital letters, such as PT", ()),
        ("", "two capital letters", ()),
        ("ZZ", "two capital letters", ()),
        ("US-NY", "two capital letters", ()),
        ("\N{FULLWIDTH LATIN CAPITAL LETTER P}T", "two capital letters", ()),
        ("\x1b[31m", r"`\x1b[31m` is no ISO 3166-1 country code", ()),
    ],
)
def test_what_is_no_country_is_refused_with_what_was_probably_meant(
    code: str, meant: str, allowed: tuple[str, ...]
) -> None:
    for what, result in (
        ("documents", set_documents(ALICE, ["PT", code])),
        ("residence", set_residence(ALICE, code)),
        ("nationality", set_nationality(ALICE, code)),
    ):
        assert isinstance(result, Refused)
        assert result.what == what
        assert meant in result.message
        assert result.allowed == allowed


def test_changes_are_made_all_or_none() -> None:
    both = steps(lambda one: set_residence(one, "ES"), lambda one: set_verification(one, "basic"))
    assert both(ALICE) == ALICE._replace(residence="ES", verification="basic")
    half = steps(lambda one: set_residence(one, "ES"), lambda one: set_verification(one, "nonsense"))
    assert isinstance(half(ALICE), Refused)
    assert steps()(ALICE) == ALICE


@pytest.mark.parametrize("uid", ["a", "alice", "x" * 255, "auth0|5f7c", "a/b?c=d", "~"])
def test_what_a_token_may_name_is_an_account(uid: str) -> None:
    assert is_uid(uid)
    assert checked(new_account(uid)) == new_account(uid)


@pytest.mark.parametrize("uid", ["", " ", "a b", "a\n", "\x00", "é", "x" * 256, "\ud800", "\x7f"])
def test_what_could_not_be_written_down_is_no_account(uid: str) -> None:
    assert not is_uid(uid)
    result = checked(new_account(uid))
    assert isinstance(result, Refused)
    assert result.what == "uid"
    assert result.message.isascii()


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("status", "none", "status"),
        ("status", "opan", "status"),
        ("verification", "", "verification"),
        ("flags", frozenset({"ok", "not ok"}), "flag"),
        ("documents", frozenset({"PT", "UK"}), "documents"),
        ("residence", "xx", "residence"),
        ("nationality", "USA", "nationality"),
        ("holds", frozenset({"withdraw", "borrow"}), "holds"),
    ],
)
def test_an_account_with_a_field_that_no_change_could_make_is_refused(field: str, value: object, what: str) -> None:
    result = checked(ALICE._replace(**{field: value}))
    assert isinstance(result, Refused)
    assert result.what == what


def test_a_whole_account_is_as_it_was() -> None:
    account = ALICE._replace(holds=frozenset({str(Operation.WITHDRAW)}), status="archived")
    assert checked(account) == account


def test_the_difference_names_what_changed_as_it_was_and_as_it_is() -> None:
    after = ALICE._replace(residence="ES", flags=frozenset({"us-ip", "staff"}))
    assert difference(ALICE, after) == (
        {"flags": ["staff"], "residence": "PT"},
        {"flags": ["staff", "us-ip"], "residence": "ES"},
    )
    assert difference(ALICE, ALICE) == ({}, {})
    before, created = difference(None, ALICE)
    assert before == {}
    assert set(created) == set(Account._fields)
