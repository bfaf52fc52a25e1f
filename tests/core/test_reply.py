"""What the visitor is told: the right status, the reason's own words, and nothing of how it came about."""

from pathlib import Path
from typing import Any

import pytest

from gateway.core.reply import RETRY_AFTER_S, WORDS, Reply, record_unavailable, reply_to, reply_to_ambiguous
from gateway.core.terms import (
    EVERYTHING,
    LEVELS,
    Access,
    Ambiguity,
    Effect,
    Operation,
    Outcome,
    Proof,
    Reason,
)
from gateway.core.verdict import Challenge, Determining, RuleRef, Verdict


def _rule(reason: Reason, **more: Any) -> Determining:
    return Determining(
        **{"policy": "secret-policy", "rule": "secret-rule", "effect": Effect.LIMIT, "basis": "secret basis", **more},
        reason=reason,
    )


def _verdict(outcome: Outcome = Outcome.DENY, reason: Reason | None = None, **more: Any) -> Verdict:
    given = {
        "operation": Operation.WITHDRAW,
        "access": LEVELS[Access.SUPPORT_ONLY],
        "by": () if reason is None else (_rule(reason),),
        "nothing_granted": False,
        "challenge": None,
        "uncertain": (RuleRef("secret-policy", "secret-doubt"),),
        "obligations": (),
        "outage": False,
    }
    return Verdict(outcome=outcome, reason=reason, **{**given, **more})


def test_what_is_allowed_is_let_through() -> None:
    reply = reply_to(_verdict(Outcome.ALLOW, access=EVERYTHING))
    assert (reply.status, reply.reason, reply.access) == (200, None, Access.FULL)
    assert reply.allowed_operations == tuple(Operation)


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.JURISDICTION_BLOCKED, 403),
        (Reason.ACCOUNT_FLAGGED, 403),
        (Reason.HOLD, 403),
        (Reason.ACCOUNT_UNKNOWN, 403),
        (Reason.NOT_GRANTED, 403),
        (Reason.CREDENTIAL_REQUIRED, 401),
        (Reason.CREDENTIAL_EXPIRED, 401),
        (Reason.CREDENTIAL_INVALID, 401),
    ],
)
def test_the_status_of_a_refusal_follows_from_its_reason(reason: Reason, status: int) -> None:
    reply = reply_to(_verdict(reason=reason))
    assert (reply.status, reply.reason) == (status, reason)


def test_a_rule_that_says_451_is_answered_451() -> None:
    by = (_rule(Reason.SANCTIONED_REGION, status=451), _rule(Reason.HOLD))
    assert reply_to(_verdict(reason=Reason.SANCTIONED_REGION, by=by)).status == 451


def test_a_rule_that_says_451_and_only_may_apply_is_not_answered_451() -> None:
    doubt = _rule(Reason.SANCTIONED_REGION, status=451, uncertain=True)
    assert reply_to(_verdict(reason=Reason.SANCTIONED_REGION, by=(doubt,))).status == 403
    assert reply_to(_verdict(reason=Reason.SANCTIONED_REGION, by=(doubt, _rule(Reason.HOLD)))).status == 403


def test_a_challenge_is_401_and_says_which_proof() -> None:
    challenge = Challenge(Proof.MFA, 300)
    reply = reply_to(_verdict(Outcome.CHALLENGE, Reason.STEP_UP_REQUIRED, challenge=challenge))
    assert (reply.status, reply.reason, reply.challenge) == (401, Reason.STEP_UP_REQUIRED, challenge)


def test_an_outage_is_503_and_claims_nothing() -> None:
    rules = (_rule(Reason.JURISDICTION_BLOCKED, uncertain=True, status=451, message="You live in the United States."),)
    reply = reply_to(_verdict(reason=Reason.JURISDICTION_BLOCKED, by=rules, outage=True))
    assert (reply.status, reply.reason, reply.retry_after_s) == (503, Reason.ACCOUNT_UNKNOWN, RETRY_AFTER_S)
    assert "jurisdiction" not in (reply.title + reply.detail).lower()


def test_an_outage_is_503_for_a_challenge_too() -> None:
    challenge = Challenge(Proof.SIGN_IN, None)
    reply = reply_to(_verdict(Outcome.CHALLENGE, Reason.CREDENTIAL_INVALID, challenge=challenge, outage=True))
    assert (reply.status, reply.challenge) == (503, None)


def test_a_refusal_is_never_429() -> None:
    for reason in Reason:
        for status in (None, 403, 451):
            for outage in (False, True):
                verdict = _verdict(reason=reason, by=(_rule(reason, status=status),), outage=outage)
                assert reply_to(verdict).status in {401, 403, 451, 503}


def test_what_could_not_be_recorded_is_503_even_where_it_was_allowed() -> None:
    reply = record_unavailable(_verdict(Outcome.ALLOW, access=EVERYTHING))
    assert (reply.status, reply.reason, reply.retry_after_s) == (503, Reason.RECORD_UNAVAILABLE, RETRY_AFTER_S)
    assert reply.access is Access.FULL


@pytest.mark.parametrize("ambiguity", Ambiguity)
def test_an_ambiguous_request_is_400_and_says_which_way(ambiguity: Ambiguity) -> None:
    reply = reply_to_ambiguous(ambiguity)
    assert (reply.status, reply.reason, reply.operation) == (400, Reason.AMBIGUOUS_REQUEST, None)
    assert (reply.access, reply.allowed_operations) == (Access.NONE, ())
    assert reply.detail != WORDS[Reason.AMBIGUOUS_REQUEST][1]


def test_every_ambiguity_has_words_of_its_own() -> None:
    assert len({reply_to_ambiguous(ambiguity).detail for ambiguity in Ambiguity}) == len(Ambiguity)


def test_the_message_of_a_certain_rule_is_what_the_visitor_reads() -> None:
    by = (
        _rule(Reason.JURISDICTION_EXIT, uncertain=True, message="not this one: it only may apply"),
        _rule(Reason.JURISDICTION_EXIT),
        _rule(Reason.JURISDICTION_EXIT, message="You may withdraw until 31 March 2023."),
        _rule(Reason.HOLD, message="not this one: another reason"),
    )
    assert reply_to(_verdict(reason=Reason.JURISDICTION_EXIT, by=by)).detail == "You may withdraw until 31 March 2023."


def test_the_message_of_another_reason_is_not_the_visitors() -> None:
    by = (_rule(Reason.ACCOUNT_FLAGGED), _rule(Reason.HOLD, message="On hold."))
    assert reply_to(_verdict(reason=Reason.ACCOUNT_FLAGGED, by=by)).detail == WORDS[Reason.ACCOUNT_FLAGGED][1]


_NEUTRAL = {
    Reason.SANCTIONED_REGION: Reason.LOCATION_UNCERTAIN,
    Reason.JURISDICTION_BLOCKED: Reason.LOCATION_UNCERTAIN,
    Reason.JURISDICTION_EXIT: Reason.LOCATION_UNCERTAIN,
    Reason.JURISDICTION_PRODUCT: Reason.LOCATION_UNCERTAIN,
    Reason.ANONYMOUS_NETWORK: Reason.LOCATION_UNCERTAIN,
    Reason.SANCTIONED_PERSON: Reason.ACCOUNT_UNKNOWN,
    Reason.ACCOUNT_ARCHIVED: Reason.ACCOUNT_UNKNOWN,
    Reason.ACCOUNT_RESTRICTED: Reason.ACCOUNT_UNKNOWN,
    Reason.ACCOUNT_FLAGGED: Reason.ACCOUNT_UNKNOWN,
    Reason.ACCOUNT_EXIT_ONLY: Reason.ACCOUNT_UNKNOWN,
    Reason.HOLD: Reason.ACCOUNT_UNKNOWN,
    Reason.UNFAMILIAR_LOGIN: Reason.ACCOUNT_UNKNOWN,
    Reason.VERIFICATION_CHANGED: Reason.ACCOUNT_UNKNOWN,
    Reason.IDENTITY_UNVERIFIED: Reason.ACCOUNT_UNKNOWN,
    Reason.CREDENTIAL_INVALID: Reason.CREDENTIAL_REQUIRED,
    Reason.CREDENTIAL_EXPIRED: Reason.CREDENTIAL_REQUIRED,
}
_CLAIM_NOTHING = set(Reason) - set(_NEUTRAL)


@pytest.mark.parametrize(("reason", "neutral"), _NEUTRAL.items())
def test_a_rule_that_only_may_apply_claims_nothing_of_the_visitor(reason: Reason, neutral: Reason) -> None:
    doubt = _rule(reason, uncertain=True, message="You are this and that.")
    doubtful = reply_to(_verdict(reason=reason, by=(doubt,)))
    assert (doubtful.reason, doubtful.title, doubtful.detail) == (neutral, *WORDS[neutral])
    certain = reply_to(_verdict(reason=reason, by=(doubt, _rule(reason))))
    assert (certain.reason, certain.title, certain.detail) == (reason, *WORDS[reason])


@pytest.mark.parametrize(("reason", "neutral"), _NEUTRAL.items())
def test_a_challenge_that_only_may_apply_claims_nothing_either(reason: Reason, neutral: Reason) -> None:
    by = (_rule(reason, effect=Effect.REQUIRE, uncertain=True),)
    reply = reply_to(_verdict(Outcome.CHALLENGE, reason, by=by, challenge=Challenge(Proof.MFA, None)))
    assert (reply.status, reply.reason, reply.title) == (401, neutral, WORDS[neutral][0])


@pytest.mark.parametrize("reason", sorted(_CLAIM_NOTHING))
def test_a_reason_that_claims_nothing_is_told_in_doubt_too(reason: Reason) -> None:
    reply = reply_to(_verdict(reason=reason, by=(_rule(reason, uncertain=True),)))
    assert (reply.reason, reply.title, reply.detail) == (reason, *WORDS[reason])


def test_a_certain_rule_is_told_before_one_that_only_may_apply() -> None:
    by = (_rule(Reason.JURISDICTION_BLOCKED, uncertain=True), _rule(Reason.HOLD, message="On hold until Monday."))
    reply = reply_to(_verdict(reason=Reason.JURISDICTION_BLOCKED, by=by))
    assert (reply.reason, reply.title, reply.detail) == (Reason.HOLD, "On hold", "On hold until Monday.")


def test_a_proof_that_is_asked_for_certain_does_not_explain_a_limit_that_only_may_apply() -> None:
    proof = _rule(Reason.STEP_UP_REQUIRED, effect=Effect.REQUIRE)
    reply = reply_to(_verdict(reason=Reason.HOLD, by=(_rule(Reason.HOLD, uncertain=True), proof)))
    assert (reply.status, reply.reason) == (403, Reason.ACCOUNT_UNKNOWN)


def test_where_no_limit_excludes_the_reason_is_why_nothing_was_granted() -> None:
    by = (_rule(Reason.STEP_UP_REQUIRED, effect=Effect.REQUIRE),)
    reply = reply_to(_verdict(reason=Reason.CREDENTIAL_EXPIRED, by=by, nothing_granted=True))
    assert (reply.status, reply.reason) == (401, Reason.CREDENTIAL_EXPIRED)


def test_what_was_refused_is_not_among_what_stays_open() -> None:
    challenge = Challenge(Proof.MFA, 300)
    verdict = _verdict(Outcome.CHALLENGE, Reason.STEP_UP_REQUIRED, access=EVERYTHING, challenge=challenge)
    rest = tuple(operation for operation in Operation if operation is not Operation.WITHDRAW)
    assert reply_to(verdict).allowed_operations == rest
    assert record_unavailable(_verdict(Outcome.ALLOW, access=EVERYTHING)).allowed_operations == rest


def test_a_reason_that_is_a_doubt_itself_keeps_its_words() -> None:
    by = (_rule(Reason.LOCATION_UNCERTAIN, uncertain=True),)
    assert reply_to(_verdict(reason=Reason.LOCATION_UNCERTAIN, by=by)).detail == WORDS[Reason.LOCATION_UNCERTAIN][1]


def test_nothing_granted_has_words_of_its_own() -> None:
    reply = reply_to(_verdict(reason=Reason.NOT_GRANTED, by=(), nothing_granted=True))
    assert (reply.title, reply.detail) == WORDS[Reason.NOT_GRANTED]


def test_a_refusal_without_a_reason_is_refused_all_the_same() -> None:
    assert reply_to(_verdict())[:2] == (403, Reason.NOT_GRANTED)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words(reason: Reason) -> None:
    title, detail = WORDS[reason]
    assert title
    assert not title.endswith(".")
    assert detail.endswith(".")


def _every_reply() -> list[Reply]:
    replies = [reply_to_ambiguous(ambiguity) for ambiguity in Ambiguity]
    for reason in Reason:
        for uncertain in (False, True):
            for outage in (False, True):
                by = (_rule(reason, uncertain=uncertain),)
                replies.append(reply_to(_verdict(reason=reason, by=by, outage=outage)))
    return replies


def test_the_visitor_learns_nothing_of_rules_lists_facts_or_databases() -> None:
    internals = (
        "secret",
        "rule",
        "policy",
        "list",
        "database",
        "geoip",
        "subdivision",
        "asn",
        "store",
        "journal",
        "ofac",
    )
    for reply in _every_reply():
        words = f"{reply.title} {reply.detail}".lower().replace(".", " ").split()
        assert not set(words) & set(internals), reply


def test_the_guide_gives_every_reason_with_its_title() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "replies.md").read_text(encoding="utf-8")
    assert [reason for reason, (title, _) in WORDS.items() if f"| `{reason}` | {title} |" not in guide] == []
