"""What a verdict asks for becomes errands: bounded by what a rule may do unseen, and known again by their cause."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.account import NARROWER, Account, Refused, new_account
from gateway.core.evidence import After
from gateway.core.obligations import (
    NARROWS_TO,
    Errand,
    Notify,
    OpenTicket,
    SetFlag,
    SetStatus,
    about_document,
    about_of,
    cause_of,
    errands,
    errands_of,
    obligation_of,
    on_account,
    parts_of,
)
from gateway.core.terms import Operation, Status
from gateway.core.verdict import Obligation, RuleRef

AT = 1_795_284_000_000_000
RULE = RuleRef("unfamiliar-login", "new-device")
HOUR_S = 3600


def asked(kind: str, value: str, **more: Any) -> Obligation:
    return Obligation(kind, value, *RULE, **more)


def todo(*wanted: Obligation, account: str | None = "alice", about: str = "") -> tuple[Errand, ...]:
    found = errands(account, wanted, decision_id="0197", at=AT, about={RULE: about})
    assert found.refused == ()
    return found.todo


def refused(*wanted: Obligation, account: str | None = "alice") -> Refused:
    found = errands(account, wanted, decision_id="0197", at=AT)
    assert found.todo == ()
    (why,) = found.refused
    return why


def test_a_flag_and_a_status_are_put_on_the_account() -> None:
    after = After(3, 30)
    flag, status = todo(asked("flag", "us-ip", after=after), asked("status", "flagged"))
    assert flag == SetFlag("alice", "alice|unfamiliar-login|new-device|flag|us-ip|", RULE, "us-ip", after)
    assert status == SetStatus("alice", "alice|unfamiliar-login|new-device|status|flagged|", RULE, Status.FLAGGED)


def test_a_hold_and_the_ticket_of_its_rule_are_one_errand() -> None:
    hold = asked("hold", "transfer,withdraw", evidence=("proof_of_address",), expires_s=72 * HOUR_S, expeditable=False)
    (one,) = todo(hold, asked("ticket", "unfamiliar_login"), about="device=d")
    assert one == OpenTicket(
        "alice",
        "alice|unfamiliar-login|new-device|hold|transfer,withdraw|device=d",
        RULE,
        "unfamiliar_login",
        frozenset({Operation.TRANSFER, Operation.WITHDRAW}),
        ("proof_of_address",),
        72 * HOUR_S * 1_000_000,
        expeditable=False,
        about="device=d",
    )


def test_a_ticket_alone_holds_nothing() -> None:
    (one,) = todo(asked("ticket", "sanctions"))
    assert isinstance(one, OpenTicket)
    assert (one.category, one.operations, one.length) == ("sanctions", frozenset(), None)


def test_the_ticket_of_one_rule_is_not_the_hold_of_another() -> None:
    other = Obligation("ticket", "review", "other", "rule")
    assert len(todo(asked("hold", "withdraw"), other)) == 2


def test_a_hold_without_a_length_can_always_be_ended_by_people() -> None:
    (one,) = todo(asked("hold", "withdraw", expeditable=False))
    assert isinstance(one, OpenTicket)
    assert one.expeditable


def test_a_notice_needs_no_account() -> None:
    (one,) = todo(asked("notify", "access.refused"), account=None)
    assert one == Notify(None, "|unfamiliar-login|new-device|notify|access.refused|", RULE, "access.refused")


@pytest.mark.parametrize("kind", ["flag", "status", "hold", "ticket"])
@pytest.mark.parametrize("account", [None, "two words"])
def test_nothing_is_done_to_an_account_that_is_none(kind: str, account: str | None) -> None:
    assert "there is no account" in refused(asked(kind, "flagged"), account=account).message


@pytest.mark.parametrize("status", ["open", "archived", "none", "nonsense"])
def test_a_rule_neither_opens_nor_archives_an_account(status: str) -> None:
    why = refused(asked("status", status))
    assert (why.what, why.allowed) == ("status", ("exit_only", "flagged", "restricted"))


def test_what_a_newer_gateway_asks_for_is_not_guessed() -> None:
    assert "does not know" in refused(asked("teleport", "x")).message
    assert "no operation" in refused(asked("hold", "withdraw,fly")).message


@given(st.sampled_from(NARROWER), st.sampled_from(NARROWS_TO))
def test_a_rule_only_ever_narrows(stands: Status, wanted: Status) -> None:
    account = new_account("alice")._replace(status=str(stands))
    (errand,) = todo(asked("status", str(wanted)))
    assert isinstance(errand, SetStatus)
    after = on_account(account, errand)
    assert isinstance(after, Account)
    assert NARROWER.index(Status(after.status)) == max(NARROWER.index(stands), NARROWER.index(wanted))


def test_a_flag_goes_on_and_one_that_is_none_does_not() -> None:
    (flag,) = todo(asked("flag", "us-ip"))
    assert isinstance(flag, SetFlag)
    after = on_account(new_account("alice"), flag)
    assert isinstance(after, Account)
    assert after.flags == {"us-ip"}
    assert isinstance(on_account(new_account("alice"), flag._replace(flag="US")), Refused)


PART = st.text("ab|%7C-,", max_size=6)


@given(*[st.tuples(PART, PART, PART, PART, PART, PART)] * 2)
def test_no_two_causes_are_the_same(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    first, second = (cause_of(a, RuleRef(b, c), d, e, f) for a, b, c, d, e, f in (one, other))
    assert (first == second) is (one == other)


def test_the_same_verdict_asks_for_the_same_and_once() -> None:
    wanted = (asked("hold", "withdraw"), asked("hold", "withdraw"), asked("flag", "x"), asked("flag", "x"))
    assert todo(*wanted) == todo(*wanted)
    assert len(todo(*wanted)) == 2


def test_what_a_signal_was_about_makes_another_cause_of_a_hold_but_not_of_a_flag() -> None:
    wanted = (asked("hold", "withdraw"), asked("flag", "x"))
    causes = [[one.cause for one in todo(*wanted, about=about)] for about in ("device=a", "device=b")]
    assert causes[0][0] != causes[1][0]
    assert causes[0][1] == causes[1][1]


@pytest.mark.parametrize(
    ("signals", "about"),
    [
        ((), ""),
        (("dormant", "verification_changed"), ""),
        (("unfamiliar_device",), "device=d"),
        (("unfamiliar_country", "unfamiliar_network"), "network=n"),
        (("new_destination", "unfamiliar_device", "impossible_travel"), "network=n,device=d,destination=x"),
    ],
)
def test_what_signals_are_about_is_what_could_become_familiar(signals: tuple[str, ...], about: str) -> None:
    found = about_of(signals, network="n", device="d", destination="x")
    assert found == about
    assert about_of(reversed(signals), network="n", device="d", destination="x") == found
    assert ",".join(f"{name}={digest}" for name, digest in parts_of(found).items()) == found


def test_what_is_not_known_is_not_made_familiar() -> None:
    assert about_of(["unfamiliar_device", "new_destination"], destination="x") == "destination=x"
    assert parts_of("") == {}


@given(
    st.builds(
        Obligation,
        st.sampled_from(["flag", "status", "hold", "ticket", "notify"]),
        st.sampled_from(["flagged", "withdraw", "us-ip"]),
        st.just("p"),
        st.just("r"),
        st.lists(st.sampled_from(["a", "b"]), max_size=2).map(tuple),
        st.none() | st.integers(1, 10**6),
        st.none() | st.builds(After, st.integers(2, 5), st.integers(5, 30)),
        st.booleans(),
    )
)
def test_an_obligation_is_read_as_it_was_recorded(one: Obligation) -> None:
    recorded = {**one._asdict(), "after": one.after and {"days": one.after.days, "within_days": one.after.within_days}}
    assert obligation_of(json.loads(json.dumps({**recorded, "of_tomorrow": 1}))) == one


def document(**facts: Any) -> dict[str, Any]:
    recorded = [
        {"kind": "flag", "value": "us-ip", "policy": "p", "rule": "r", "evidence": [], "expires_s": None},
        {"kind": "hold", "value": "withdraw", "policy": "p", "rule": "r", "evidence": ["x"], "expires_s": None},
    ]
    return {
        "id": "0197", "at": "2026-11-21T18:00:00.000000Z", "facts": facts, "verdict": {"obligations": recorded},
    }  # fmt: skip


def test_a_recorded_decision_asks_again_for_what_the_verdict_asked() -> None:
    wanted = (Obligation("flag", "us-ip", "p", "r"), Obligation("hold", "withdraw", "p", "r", ("x",)))
    about = {RuleRef("p", "r"): "device=d"}
    found = errands_of({**document(account="alice"), "about": about_document(about)})
    assert found == errands("alice", wanted, decision_id="0197", at=AT, about=about)
    assert len(found.todo) == 2


def test_what_signals_were_about_is_recorded_of_the_rules_that_spoke_of_them() -> None:
    assert about_document({RuleRef("p", "r"): "device=d", RuleRef("p", "s"): ""}) == {"p/r": "device=d"}
    assert errands_of({**document(account="alice"), "about": None}) == errands_of(document(account="alice"))


def test_a_decision_about_nobody_or_about_nothing_asks_for_nothing_of_an_account() -> None:
    assert errands_of(document(account=None)).todo == ()
    unread = {**document(), "facts": None, "verdict": None}
    assert (errands_of(unread).todo, errands_of(unread).refused) == ((), ())
