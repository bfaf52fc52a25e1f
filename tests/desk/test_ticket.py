"""Tickets, step by step and at random: nobody ends a hold alone, sooner than it may end, or twice."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.account import Account, Refused, new_account
from gateway.core.obligations import OpenTicket
from gateway.core.permissions import Identity, Permission, Program, person
from gateway.core.terms import Operation, Status
from gateway.core.verdict import RuleRef
from gateway.core.verification_changes import HELD, HoldSpec, Kind, Proof
from gateway.desk.consequences import (
    BecomesFamiliar,
    Consequence,
    HoldEnds,
    HoldStands,
    LetBack,
    Restricted,
    SessionsRevoked,
    Tell,
    account_step,
)
from gateway.desk.evidence import MOST_PIECES, Evidence, EvidenceKind, IdentityResult
from gateway.desk.hold import Hold, started
from gateway.desk.kinds import KINDS, TicketKind
from gateway.desk.lifecycle import CLOSED, TRANSITIONS, Act, TicketState
from gateway.desk.record import ticket_document, ticket_of
from gateway.desk.ticket import (
    ENTROPY,
    Done,
    End,
    Ticket,
    approve,
    attach,
    cause_of_change,
    decline,
    expire,
    open_for,
    open_for_change,
    open_ticket,
    propose,
    renew,
    ticket_id,
)

HOUR = 3600 * 1_000_000
NOW = 1_795_284_000_000_000
BEN = person("Ben", ["support"])
CLARA = person("Clara", ["approver"])
BOTH = person("Dana", ["support", "approver"])
ALSO = person("Eve", ["support", "approver"])
VIEWER = person("Vic", ["viewer"])
ADMIN = person("Ada", ["admin"])
BOT = Program("bot", frozenset(str(one) for one in Permission))
PEOPLE: tuple[Identity, ...] = (BEN, CLARA, BOTH, ALSO, VIEWER, ADMIN, BOT, BOTH._replace(name="dana"))
ABOUT = "network=n,device=d"


def made(result: Done | Refused) -> Ticket:
    assert isinstance(result, Done), result
    return result.ticket


def why(result: Done | Refused) -> Refused:
    assert isinstance(result, Refused), result
    return result


def told(result: Done | Refused) -> list[str]:
    assert isinstance(result, Done), result
    return [str(each.message.type) for each in result.consequences if isinstance(each, Tell)]


def others(result: Done | Refused) -> list[Consequence]:
    assert isinstance(result, Done), result
    return [each for each in result.consequences if not isinstance(each, Tell)]


def opened(kind: TicketKind = TicketKind.UNFAMILIAR_LOGIN, hold: Hold | None = None, **more: Any) -> Ticket:
    clock = started(HELD, NOW, None) if hold is None and kind is not TicketKind.APPEAL else hold
    return made(open_ticket("T-AAAAAAAAAA", "alice", kind, "cause", at=NOW, hold=clock, about=ABOUT, **more))


def piece(kind: str, at: int = NOW, number: int = 0) -> Evidence:
    result = IdentityResult(True, True, 0.99, "r") if kind == EvidenceKind.IDENTITY_RESULT else None
    return Evidence(f"{kind}-{number}", kind, at, "Ben", "0" * 64, 1, "image/png", result)


def evidenced(ticket: Ticket) -> Ticket:
    for kind in ticket.missing:
        ticket = made(attach(ticket, piece(kind, max(NOW, ticket.since))))
    assert ticket.state is TicketState.EVIDENCED
    return ticket


def proposed(ticket: Ticket, outcome: End = End.RELEASE, at: int = NOW, to: Status | None = None) -> Ticket:
    ready = evidenced(ticket) if outcome is End.RELEASE else ticket
    return made(propose(ready, BEN, outcome, "seen", at, to=to))


# One ticket from its beginning to each of its ends ----------------------------------------------------------------


def test_a_hold_is_placed_evidenced_proposed_and_released_by_another() -> None:
    result = open_ticket(
        "T-AAAAAAAAAA",
        "alice",
        TicketKind.UNFAMILIAR_LOGIN,
        "cause",
        at=NOW,
        hold=started(HELD, NOW, None),
        about=ABOUT,
    )
    ticket = made(result)
    assert others(result) == [HoldStands("alice", ticket.id, HELD, None)]
    assert told(result) == ["hold.placed", "ticket.opened"]
    assert (ticket.state, ticket.missing) == (TicketState.OPEN, ("selfie_with_document", "signed_note"))

    ticket = made(attach(ticket, piece("selfie_with_document")))
    assert (ticket.state, ticket.missing) == (TicketState.OPEN, ("signed_note",))
    ticket = made(attach(ticket, piece("signed_note")))
    assert ticket.state is TicketState.EVIDENCED
    ticket = made(propose(ticket, BEN, End.RELEASE, "it is her", NOW + 1))
    assert ticket.proposal is not None
    assert ticket.proposal.by == "Ben"
    result = approve(ticket, CLARA, "seen the same", NOW + 2)
    ticket = made(result)
    assert (ticket.state, ticket.closed_at, ticket.closed_by, ticket.version) == (
        TicketState.RELEASED, NOW + 2, "Clara", 5,
    )  # fmt: skip
    assert others(result) == [HoldEnds("alice", ticket.id), BecomesFamiliar("alice", ABOUT)]
    assert told(result) == ["hold.released", "ticket.closed"]


@pytest.mark.parametrize("kind", [kind for kind in TicketKind if kind is not TicketKind.APPEAL])
def test_to_uphold_a_hold_restricts_the_account_and_ends_its_sessions(kind: TicketKind) -> None:
    result = approve(proposed(opened(kind), End.UPHOLD), CLARA, "not her", NOW)
    assert made(result).state is TicketState.UPHELD
    assert others(result) == [
        Restricted("alice", "T-AAAAAAAAAA"), SessionsRevoked("alice"), HoldEnds("alice", "T-AAAAAAAAAA"),
    ]  # fmt: skip
    assert told(result) == ["session.revoked", "ticket.closed"]


def test_a_review_that_holds_nothing_ends_without_touching_the_account() -> None:
    for outcome in End:
        ticket = opened(TicketKind.REVIEW, Hold(frozenset(), NOW))
        assert ticket.state is TicketState.EVIDENCED
        result = approve(made(propose(ticket, BEN, outcome, "looked", NOW)), CLARA, "yes", NOW)
        assert others(result) == []
        assert told(result) == ["ticket.closed"]


def test_the_time_of_a_hold_closes_its_ticket_and_makes_nothing_familiar() -> None:
    ticket = opened(hold=started(HELD, NOW, HOUR))
    assert "ends at" in why(expire(ticket, NOW + HOUR - 1)).message
    result = expire(ticket, NOW + HOUR)
    assert (made(result).state, made(result).closed_by) == (TicketState.EXPIRED, None)
    assert others(result) == [HoldEnds("alice", ticket.id)]
    assert told(result) == ["hold.released", "ticket.closed"]


def test_an_appeal_gives_back_the_status_that_two_people_agreed_on() -> None:
    result = approve(proposed(opened(TicketKind.APPEAL), to=Status.FLAGGED), CLARA, "documents are right", NOW)
    assert others(result) == [LetBack("alice", "T-AAAAAAAAAA", Status.FLAGGED)]
    step = account_step(others(result)[0])
    assert step is not None
    after = step(new_account("alice")._replace(status="restricted"))
    assert isinstance(after, Account)
    assert after.status == "flagged"
    upheld = approve(proposed(opened(TicketKind.APPEAL), End.UPHOLD), CLARA, "they are not", NOW)
    assert (others(upheld), told(upheld)) == ([], ["ticket.closed"])


@pytest.mark.parametrize(
    ("kind", "outcome", "to"),
    [
        (TicketKind.APPEAL, End.RELEASE, None),
        (TicketKind.APPEAL, End.RELEASE, Status.ARCHIVED),
        (TicketKind.APPEAL, End.UPHOLD, Status.OPEN),
        (TicketKind.UNFAMILIAR_LOGIN, End.RELEASE, Status.OPEN),
    ],
)
def test_a_status_is_given_by_the_release_of_an_appeal_alone(kind: TicketKind, outcome: End, to: Status | None) -> None:
    assert why(propose(evidenced(opened(kind)), BEN, outcome, "seen", NOW, to=to)).what == "status"


def test_an_appeal_holds_nothing() -> None:
    result = open_ticket("T-AAAAAAAAAA", "alice", TicketKind.APPEAL, "c", at=NOW, hold=started(HELD, NOW, None))
    assert "holds nothing" in why(result).message


# Four eyes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", End)
@pytest.mark.parametrize("name", ["Dana", "dana", " DANA ", "Da\N{FULLWIDTH LATIN SMALL LETTER N}a"])
@pytest.mark.parametrize("half", [approve, decline])
def test_the_same_person_cannot_do_both_halves(
    outcome: End, name: str, half: Callable[[Ticket, Identity, str, int], Done | Refused]
) -> None:
    ticket = made(propose(evidenced(opened()), BOTH, outcome, "it is her", NOW))
    refused = why(half(ticket, BOTH._replace(name=name), "yes", NOW))
    assert (refused.what, "another person" in refused.message) == ("proposal", True)
    assert made(half(ticket, ALSO, "yes", NOW))


@pytest.mark.parametrize("who", [CLARA, VIEWER, ADMIN])
def test_proposing_takes_a_role(who: Identity) -> None:
    refused = why(propose(evidenced(opened()), who, End.RELEASE, "seen", NOW))
    assert (refused.what, refused.allowed) == ("permission", ("support", "editor"))
    assert who.name in refused.message


@pytest.mark.parametrize("who", [BEN, VIEWER, ADMIN])
@pytest.mark.parametrize("half", [approve, decline])
def test_approving_takes_another(who: Identity, half: Callable[..., Done | Refused]) -> None:
    refused = why(half(proposed(opened()), who, "yes", NOW))
    assert (refused.what, refused.allowed) == ("permission", ("approver",))


def test_a_service_token_can_neither_propose_nor_approve() -> None:
    assert "a service token" in why(propose(evidenced(opened()), BOT, End.RELEASE, "x", NOW)).message
    assert "a service token" in why(approve(proposed(opened()), BOT, "x", NOW)).message


@pytest.mark.parametrize("reason", ["", "  ", "a\nb", "x" * 2001])
def test_each_half_says_why(reason: str) -> None:
    ready = evidenced(opened())
    assert why(propose(ready, BEN, End.RELEASE, reason, NOW)).what == "reason"
    waiting = proposed(opened())
    assert why(approve(waiting, CLARA, reason, NOW)).what == "reason"
    assert why(decline(waiting, CLARA, reason, NOW)).what == "reason"


# What is needed ---------------------------------------------------------------------------------------------------


def test_a_release_without_the_evidence_is_refused_with_what_is_missing() -> None:
    refused = why(propose(opened(), BEN, End.RELEASE, "seen", NOW))
    assert (refused.what, refused.allowed) == ("evidence", ("selfie_with_document", "signed_note"))


def test_an_uphold_needs_no_evidence_of_a_customer_who_sends_none() -> None:
    assert proposed(opened(), End.UPHOLD).state is TicketState.PROPOSED


def test_nothing_is_approved_that_nobody_proposed() -> None:
    refused = why(approve(opened(), CLARA, "yes", NOW))
    assert refused.allowed == ("attach", "propose")
    assert "must propose an end first" in refused.message


@pytest.mark.parametrize("who", [BEN, CLARA, BOTH, ADMIN, BOT])
def test_a_hold_that_is_not_expeditable_is_released_by_nobody_before_its_time(who: Identity) -> None:
    ticket = evidenced(opened(hold=started(HELD, NOW, 72 * HOUR, expeditable=False)))
    assert isinstance(propose(ticket, who, End.RELEASE, "hurry", NOW + 72 * HOUR - 1), Refused)
    refused = why(propose(ticket, BEN, End.RELEASE, "hurry", NOW + 72 * HOUR - 1))
    assert (refused.what, "nobody may release it before 2026-11-24T18:00:00" in refused.message) == ("hold", True)


def test_one_that_people_must_end_waits_for_its_length_at_both_halves() -> None:
    spec = HoldSpec(Kind.FACTOR_CHANGED, Proof.RECOVERY, HELD, NOW, None, NOW + 72 * HOUR, revokes=False)
    ticket = evidenced(made(open_for_change("alice", spec, "T-AAAAAAAAAA", NOW)))
    assert why(propose(ticket, BEN, End.RELEASE, "x", NOW + 72 * HOUR - 1)).what == "hold"
    waiting = made(propose(ticket, BEN, End.RELEASE, "x", NOW + 72 * HOUR))
    assert why(approve(waiting, CLARA, "x", NOW)).what == "hold"  # a clock that went back helps nobody
    assert made(approve(waiting, CLARA, "x", NOW + 72 * HOUR)).state is TicketState.RELEASED


def test_a_declined_proposal_leaves_the_ticket_as_it_was() -> None:
    result = decline(proposed(opened()), CLARA, "not convinced", NOW)
    assert (made(result).state, made(result).proposal, others(result)) == (TicketState.EVIDENCED, None, [])
    assert made(decline(proposed(opened(), End.UPHOLD), CLARA, "wait for her", NOW)).state is TicketState.OPEN


def test_a_hold_does_not_lapse_while_people_agree_that_it_must_not() -> None:
    timed = opened(hold=started(HELD, NOW, HOUR))
    result = propose(timed, BEN, End.UPHOLD, "not her", NOW)
    waiting = made(result)
    assert (waiting.until, waiting.ends_at) == (NOW + HOUR, None)
    assert others(result) == [HoldStands("alice", timed.id, HELD, None)]
    assert told(result) == ["hold.changed"]
    assert "uphold" in why(expire(waiting, NOW + 100 * HOUR)).message
    back = decline(waiting, CLARA, "it is", NOW + 2 * HOUR)
    assert others(back) == [HoldStands("alice", timed.id, HELD, NOW + HOUR)]
    assert made(expire(made(back), NOW + 2 * HOUR)).state is TicketState.EXPIRED
    assert made(expire(proposed(timed), NOW + HOUR)).state is TicketState.EXPIRED


# Evidence ---------------------------------------------------------------------------------------------------------


def test_the_same_piece_again_changes_nothing() -> None:
    ticket = made(attach(opened(), piece("signed_note")))
    assert attach(ticket, piece("signed_note")) == Done(ticket)


@pytest.mark.parametrize(
    "wrong",
    [
        piece(EvidenceKind.IDENTITY_RESULT)._replace(result=None),
        piece("signed_note")._replace(result=IdentityResult(True, True, 1.0, "r")),
    ],
)
def test_a_result_is_what_a_provider_found_and_nothing_else(wrong: Evidence) -> None:
    assert why(attach(opened(), wrong)).what == "evidence"


def test_evidence_is_bounded() -> None:
    ticket = opened()
    for number in range(MOST_PIECES):
        ticket = made(attach(ticket, piece("other", number=number)))
    assert "at most" in why(attach(ticket, piece("other", number=99))).message


# Again ------------------------------------------------------------------------------------------------------------


def test_a_further_change_restarts_the_clock_voids_the_proposal_and_asks_for_new_evidence() -> None:
    ticket = proposed(opened(hold=started(HELD, NOW, 24 * HOUR)))
    later = started(HELD, NOW + HOUR, 72 * HOUR, expeditable=False)
    result = renew(ticket, later, "cause-2", revokes=True)
    after = made(result)
    assert (after.state, after.proposal, after.cause) == (TicketState.OPEN, None, "cause-2")
    assert (after.since, after.until, after.earliest) == (NOW + HOUR, NOW + 73 * HOUR, NOW + 73 * HOUR)
    assert after.missing == after.evidence_required
    assert others(result) == [HoldStands("alice", ticket.id, HELD, NOW + 73 * HOUR), SessionsRevoked("alice")]
    assert told(result) == ["hold.changed", "session.revoked"]


def test_the_same_clock_again_changes_nothing() -> None:
    ticket = opened(hold=started(HELD, NOW, 24 * HOUR))
    assert renew(ticket, started(HELD, NOW, 24 * HOUR), "again") == Done(ticket)
    assert renew(ticket, started(HELD, NOW - 5, 3 * HOUR), "older") == Done(ticket)


def test_what_is_closed_stays_closed() -> None:
    for ticket in (
        made(approve(proposed(opened()), CLARA, "yes", NOW)),
        made(approve(proposed(opened(), End.UPHOLD), CLARA, "yes", NOW)),
        made(expire(opened(hold=started(HELD, NOW, 1)), NOW + 1)),
    ):
        assert ticket.state in CLOSED
        for result in (
            attach(ticket, piece("signed_note", number=9)),
            propose(ticket, BEN, End.UPHOLD, "x", NOW),
            approve(ticket, CLARA, "x", NOW),
            decline(ticket, CLARA, "x", NOW),
            renew(ticket, started(HELD, NOW + 1, None), "x"),
            expire(ticket, NOW + HOUR),
        ):
            assert "nothing changes it any more" in why(result).message


def test_a_rule_opens_the_ticket_that_its_errand_says() -> None:
    errand = OpenTicket(
        "alice", "the cause", RuleRef("p", "r"), "unfamiliar_login", HELD, ("proof_of_address",), HOUR, False, ABOUT
    )
    ticket = made(open_for(errand, "T-AAAAAAAAAA", "0197", NOW))
    assert (ticket.kind, ticket.cause, ticket.operations) == (TicketKind.UNFAMILIAR_LOGIN, "the cause", HELD)
    assert (ticket.until, ticket.earliest, ticket.decision_id, ticket.about) == (NOW + HOUR, NOW + HOUR, "0197", ABOUT)
    assert ticket.evidence_required == ("selfie_with_document", "signed_note", "proof_of_address")


def test_a_change_of_verification_opens_its_ticket_and_each_start_of_the_clock_is_another_cause() -> None:
    spec = HoldSpec(Kind.COMBINED, Proof.RECOVERY, HELD, NOW, None, NOW + 72 * HOUR, revokes=True)
    result = open_for_change("alice", spec, "T-AAAAAAAAAA", NOW)
    ticket = made(result)
    assert (ticket.kind, ticket.until, ticket.expeditable) == (TicketKind.VERIFICATION_CHANGED, None, False)
    assert SessionsRevoked("alice") in others(result)
    assert ticket.cause == cause_of_change("alice", spec)
    assert cause_of_change("alice", spec._replace(since=NOW + 1)) != ticket.cause


def test_an_id_is_read_aloud_easily() -> None:
    assert ticket_id(bytes(ENTROPY)) == "T-AAAAAAAAAA"
    assert ticket_id(bytes(range(7))) == "T-AAAQEAYEAU"
    with pytest.raises(ValueError, match="random bytes"):
        ticket_id(b"short")


# At random --------------------------------------------------------------------------------------------------------

_REQUIRED = sorted({kind for rules in KINDS.values() for kind in rules.evidence} | {"other", "identity_result"})
_ACTS = st.tuples(
    st.sampled_from(Act), st.sampled_from(PEOPLE), st.sampled_from(End), st.sampled_from(_REQUIRED), st.integers(0, 8)
)


def step(ticket: Ticket, act: Act, who: Identity, outcome: End, kind: str, at: int) -> Done | Refused:
    match act:
        case Act.ATTACH:
            return attach(ticket, piece(kind, at, len(ticket.evidence)))
        case Act.PROPOSE:
            back = outcome is End.RELEASE and ticket.kind is TicketKind.APPEAL
            return propose(ticket, who, outcome, "why", at, to=Status.FLAGGED if back else None)
        case Act.APPROVE:
            return approve(ticket, who, "why", at)
        case Act.DECLINE:
            return decline(ticket, who, "why", at)
        case Act.RENEW:
            return renew(ticket, started(ticket.operations, at, 2, expeditable=at % 2 == 0), f"cause-{at}")
        case Act.EXPIRE:
            return expire(ticket, at)


@given(
    st.sampled_from(TicketKind),
    st.none() | st.integers(1, 6),
    st.booleans(),
    st.lists(_ACTS, max_size=14),
)
def test_whatever_people_do_every_step_is_a_row_of_the_table_and_nobody_ends_a_hold_alone(
    kind: TicketKind, length: int | None, expeditable: bool, acts: list[tuple[Act, Identity, End, str, int]]
) -> None:
    held = frozenset() if kind is TicketKind.APPEAL else frozenset({Operation.WITHDRAW})
    ticket = made(open_ticket("T-1", "alice", kind, "c", at=0, hold=started(held, 0, length, expeditable=expeditable)))
    standing = bool(held)
    for act, who, outcome, evidence, at in acts:
        result = step(ticket, act, who, outcome, evidence, at)
        if isinstance(result, Refused):
            assert result.message.isprintable()
            continue
        after = result.ticket
        if after == ticket:
            assert result.consequences == ()
            continue
        assert after.version == ticket.version + 1
        assert any(way.act is act and way.to is after.state for way in TRANSITIONS[ticket.state])
        assert after.until is None or (ticket.until is not None and after.until >= ticket.until)
        assert ticket_of(json.loads(json.dumps(ticket_document(after)))) == after
        if after.state in {TicketState.RELEASED, TicketState.UPHELD}:
            assert after.proposal is not None
            assert after.closed_by is not None
            assert after.closed_by.casefold() != after.proposal.by.casefold()
        if after.state is TicketState.RELEASED:
            assert not after.missing
            assert after.earliest is None or after.earliest <= at
        if after.state is TicketState.EXPIRED:
            assert after.until is not None
            assert after.until <= at
        standing = standing and HoldEnds("alice", "T-1") not in result.consequences
        assert standing is (bool(held) and after.state not in CLOSED)
        ticket = after
