"""What would change an answer, said in sentences that a support agent can act on."""

from typing import Any

import pytest

from gateway.core.decision import verdict_document
from gateway.core.facts import Facts, Unknown
from gateway.core.reply import reply_to
from gateway.core.terms import Operation, WhyUnknown
from gateway.policies.bundle import load
from gateway.policies.compile import Bundle
from gateway.policies.evaluate import evaluate
from gateway.policies.ways import ways

ALICE: dict[str, Any] = {
    "country": "PT", "credential": "session", "token": "valid", "assurance": 2, "auth_age": 60, "account": "alice",
    "status": "open", "verification": "full", "risk": "low", "amount_usd": 10.0,
}  # fmt: skip


def _bundle(rules: str, tests: str = "") -> Bundle:
    return load({"p.yaml": f"policy: p\ntitle: P\nowner: tests\nrules:\n{rules}{tests}"}, sources_configured=None)


def _said(bundle: Bundle | None, *, evaluated: bool = True, **facts: Any) -> list[str]:
    some = Facts(1_795_262_400_000_000, Operation.WITHDRAW, **{**ALICE, **facts})
    verdict = evaluate(some, bundle or SHUT)
    reply = reply_to(verdict)
    recorded = {"status": reply.status, "reason": None if reply.reason is None else str(reply.reason)}
    return list(ways(verdict_document(verdict), recorded, some, bundle, verdict if evaluated else None))


SHUT = _bundle("  - {id: g, grant: [view], when: true}\n")
MARKED = _bundle("""  - {id: g, grant: full, when: '"staff" in flags'}\n""")
OPEN = _bundle("  - {id: g, grant: full, when: true}\n")


def test_more_ways_than_anyone_reads_are_counted() -> None:
    grants = "".join(f"  - {{id: g{n}, grant: full, when: '\"flag-{n}\" in flags'}}\n" for n in range(20))
    sentences = _said(_bundle(grants))
    assert len(sentences) == 14
    assert sentences[-2:] == ["There are 8 further ways.", "The search was cut short; there may be other ways."]


def test_each_way_is_a_sentence_and_like_values_share_one() -> None:
    rule = """  - {id: way, grant: full, when: 'verification in ["institutional", "basic"] or "staff" in flags'}\n"""
    assert _said(_bundle(rule)) == [
        "It would have been allowed if the account had had the mark `staff`.",
        "It would have been allowed if the verification had been `basic` or `institutional`.",
    ]


def test_a_search_cut_short_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.policies.what_if.MOST_TRIALS", 0)
    assert "The search was cut short; there may be other ways." in _said(MARKED)


def test_a_refusal_that_nothing_would_have_changed_says_so() -> None:
    (sentence,) = _said(SHUT)
    assert sentence == (
        "Nothing that the customer or the staff can change would have opened the operation, "
        "not even three such things at once."
    )


LARGE = _bundle(
    "  - {id: g, grant: full, when: true}\n"
    "  - {id: large, limit: read_only, when: amount_usd > 1000, reason: identity-unverified, basis: tests}\n",
    "tests:\n  - {name: t, facts: {amount_usd: 5000}, operation: withdraw, expect: {outcome: deny}}\n",
)


def test_no_amount_is_suggested() -> None:
    (sentence,) = _said(LARGE, amount_usd=5000.0)
    assert sentence == "What follows from amounts or from anything measured (`large`) is not listed here either way."


def test_an_allowed_request_needs_nothing() -> None:
    assert _said(OPEN) == ["Nothing needs to: the operation was allowed."]


def test_what_cannot_be_worked_out_is_not_guessed() -> None:
    assert _said(None) == ["That cannot be worked out: the bundle that decided is not at hand."]
    (sentence,) = _said(SHUT, evaluated=False)
    assert "Replay says what differs" in sentence


def test_what_is_missing_is_named_first() -> None:
    nowhere = Unknown(WhyUnknown.ADDRESS_UNRESOLVED)
    first, second, *_ = _said(SHUT, country=nowhere, status=Unknown(WhyUnknown.NO_ACCOUNT))
    assert first.startswith("An address that can be held responsible")
    assert second == "An account: the store does not know this customer."
