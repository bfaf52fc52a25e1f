"""A decision is written so that it can be read again to the same facts, and shows nothing that it should not keep."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import facts as facts_codec
from gateway.core.client_ip import ClientIP, Hop, How, Role, Unresolved
from gateway.core.decision import (
    RequestLine,
    ambiguous_document,
    client_ip_document,
    decision_document,
    instant_text,
    parse_instant,
    ruling_document,
    verdict_document,
)
from gateway.core.evidence import After
from gateway.core.facts import Facts, OneOf, Unknown
from gateway.core.reply import reply_to, reply_to_ambiguous
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
    WhyUnknown,
)
from gateway.core.verdict import Challenge, Determining, Excepted, Obligation, RuleRef, Verdict

AT = 1_700_000_000_123_456
PEER = ClientIP("203.0.113.9", How.FORWARDED, None, (Hop("10.0.0.1", Role.TRUSTED), Hop("203.0.113.9", Role.CLIENT)))
FACTS = Facts(
    AT,
    Operation.WITHDRAW,
    country=OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset({"US", "CA"})),
    asn=64500,
    network=frozenset({"vpn", "hosting"}),
    auth_age=40,
    account="alice",
    status="open",
    documents=Unknown(WhyUnknown.STORE_UNAVAILABLE),
)
VERDICT = Verdict(
    operation=Operation.WITHDRAW,
    outcome=Outcome.DENY,
    access=LEVELS[Access.SUPPORT_ONLY],
    by=(
        Determining(
            "us-exit", "us-closed", Effect.LIMIT, Reason.JURISDICTION_BLOCKED, "NYAG", uncertain=True, status=451
        ),
    ),
    nothing_granted=False,
    reason=Reason.JURISDICTION_BLOCKED,
    challenge=None,
    uncertain=(RuleRef("us-exit", "us-closed"),),
    obligations=(Obligation("hold", "withdraw", "p", "r", ("passport",), 3600),),
    outage=False,
)
ALLOWED = VERDICT._replace(outcome=Outcome.ALLOW, access=EVERYTHING, by=(), reason=None, uncertain=(), obligations=())
REQUEST = RequestLine("POST", "/withdrawals", "exchange.example", "curl/8")


def _ruling(verdict: Verdict = VERDICT) -> dict[str, object]:
    return ruling_document(PEER, FACTS, "digest", ["country 2026-06-01"], verdict, reply_to(verdict))


def test_the_facts_of_a_decision_are_read_again_to_the_same_facts() -> None:
    document = json.loads(json.dumps(_ruling()))
    assert facts_codec.from_json(AT, document["facts"], document["unknown"]) == FACTS


def test_a_decision_says_who_what_when_and_why() -> None:
    ruling = _ruling()
    document = decision_document(ruling, decision_id="id", at=instant_text(AT), request=REQUEST, took_us=70)
    assert list(document) == [
        "id", "at", "request", "client_ip", "operation", "facts", "unknown", "bundle", "editions", "verdict", "reply",
        "took_us",
    ]  # fmt: skip
    assert document["at"] == "2023-11-14T22:13:20.123456Z"
    assert document["request"] == {
        "method": "POST", "path": "/withdrawals", "host": "exchange.example", "user_agent": "curl/8",
    }  # fmt: skip
    assert document["operation"] == "withdraw"
    assert document["reply"] == {"status": 403, "reason": "location-uncertain"}
    assert document["unknown"]["country"] == {"why": "sources-disagree", "one_of": ["CA", "US"], "prefixes": []}


def test_a_verdict_is_written_with_everything_that_replay_compares() -> None:
    assert verdict_document(VERDICT) == {
        "outcome": "deny",
        "access": "support_only",
        "operations": ["support"],
        "by": [
            {
                "policy": "us-exit",
                "rule": "us-closed",
                "effect": "limit",
                "reason": "jurisdiction-blocked",
                "basis": "NYAG",
                "uncertain": True,
            }
        ],
        "nothing_granted": False,
        "reason": "jurisdiction-blocked",
        "challenge": None,
        "uncertain": ["us-exit/us-closed"],
        "obligations": [
            {
                "kind": "hold",
                "value": "withdraw",
                "policy": "p",
                "rule": "r",
                "evidence": ["passport"],
                "expires_s": 3600,
            }
        ],
        "outage": False,
    }


def test_exceptions_stand_only_where_one_mattered() -> None:
    """So that every decision recorded before there were any replays to the same bytes."""
    assert "excepted" not in verdict_document(VERDICT)
    spared = VERDICT._replace(excepted=(Excepted("us-exit", "us-closed", "desk/settle", "compliance", AT),))
    assert verdict_document(spared) == {
        **verdict_document(VERDICT),
        "excepted": [
            {
                "policy": "us-exit",
                "rule": "us-closed",
                "exception": "desk/settle",
                "owner": "compliance",
                "until": "2023-11-14T22:13:20.123456Z",
            }
        ],
    }


def test_how_much_evidence_an_obligation_takes_stands_only_where_it_was_said() -> None:
    after = Obligation("flag", "us-ip", "p", "r", after=After(3, 30))
    firm = Obligation("hold", "withdraw", "p", "r", (), 3600, expeditable=False)
    plain = Obligation("flag", "us-ip", "p", "r")
    recorded = verdict_document(VERDICT._replace(obligations=(after, firm, plain)))["obligations"]

    assert recorded[0]["after"] == {"days": 3, "within_days": 30}
    assert recorded[1]["expeditable"] is False
    assert recorded[2] == {
        "kind": "flag",
        "value": "us-ip",
        "policy": "p",
        "rule": "r",
        "evidence": [],
        "expires_s": None,
    }


def test_a_challenge_is_written_with_its_proof_and_age() -> None:
    verdict = VERDICT._replace(outcome=Outcome.CHALLENGE, challenge=Challenge(Proof.MFA, 300))
    assert verdict_document(verdict)["challenge"] == {"proof": "mfa", "max_age_s": 300}


def test_an_allowed_request_has_no_reason() -> None:
    document = _ruling(ALLOWED)
    assert verdict_document(ALLOWED)["reason"] is None
    assert document["reply"] == {"status": 200, "reason": None}


def test_the_age_of_a_proof_is_that_of_the_request_where_it_was_known() -> None:
    ruling = _ruling()
    document = decision_document(ruling, decision_id="id", at="", request=REQUEST, took_us=0, auth_age=41)
    assert document["facts"]["auth_age"] == 41
    assert ruling["facts"]["auth_age"] == 40  # type: ignore[index]


def test_the_age_of_a_proof_that_nobody_gave_stays_empty() -> None:
    ruling = ruling_document(PEER, FACTS._replace(auth_age=None), "", (), ALLOWED, reply_to(ALLOWED))
    document = decision_document(ruling, decision_id="id", at="", request=REQUEST, took_us=0, auth_age=41)
    assert document["facts"]["auth_age"] is None


def test_a_request_that_could_not_be_read_has_neither_facts_nor_verdict() -> None:
    reply = reply_to_ambiguous(Ambiguity.TARGET_ENCODING)
    ruling = ambiguous_document(
        ClientIP(None, How.UNRESOLVED, Unresolved.NO_PEER), "digest", "target-encoding", "%2f", reply
    )
    document = decision_document(ruling, decision_id="id", at="", request=REQUEST, took_us=0, auth_age=41)
    assert document["facts"] is document["unknown"] is document["verdict"] is document["operation"] is None
    assert document["ambiguous"] == {"why": "target-encoding", "detail": "%2f"}
    assert document["reply"] == {"status": 400, "reason": "ambiguous-request"}
    assert document["client_ip"] == {"address": None, "reason": "no-peer", "how": "unresolved", "chain": []}


def test_the_chain_of_hops_is_kept_nearest_first() -> None:
    assert client_ip_document(PEER)["chain"] == [
        {"text": "10.0.0.1", "role": "trusted"},
        {"text": "203.0.113.9", "role": "client"},
    ]


@given(st.integers(0, 2**55))
def test_an_instant_written_down_and_read_again_is_the_same(at: int) -> None:
    assert parse_instant(instant_text(at)) == at


def test_an_instant_of_another_time_zone_is_the_same_instant() -> None:
    assert parse_instant("2023-11-14T23:13:20.123456+01:00") == AT


@pytest.mark.parametrize("text", ["2023-11-14", "2023-11-14T22:13:20"])
def test_an_instant_without_a_time_zone_is_refused_with_advice(text: str) -> None:
    with pytest.raises(ValueError, match="names no time zone; write `2023"):
        parse_instant(text)
