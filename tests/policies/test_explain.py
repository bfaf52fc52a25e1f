"""Decisions in sentences: golden pages for every reason of the shipped policies, and nothing from outside raw.

The pages stand in `explanations/`, to be read as a support agent would. After a change of wording, write them again
with `python tests/policies/test_explain.py` and read what changed.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.core.client_ip import ClientIP, Hop, How, Role, Unresolved
from gateway.core.decision import (
    Document,
    RequestLine,
    ambiguous_document,
    decision_document,
    instant_text,
    ruling_document,
)
from gateway.core.errors import ReplayError
from gateway.core.facts import Facts, OneOf, Unknown
from gateway.core.reply import reply_to, reply_to_ambiguous
from gateway.core.terms import Ambiguity, Operation, Reason, WhyUnknown
from gateway.policies import library
from gateway.policies.bundle import Bundle, load
from gateway.policies.evaluate import evaluate
from gateway.policies.explain import TITLES, explain

PAGES = Path(__file__).parent / "explanations"
FOLDER = Path(library.__file__).parent
BUNDLE = load(
    {path.relative_to(FOLDER).as_posix(): path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.yaml")},
    sources_configured=None,
)
AT = 1_795_262_400_000_000
IN_THE_WINDOW = 1_677_672_000_000_000
ID = "019b0a2c-4d00-7abc-8def-0123456789ab"
REQUEST = RequestLine("POST", "/api/v1/withdrawals", "exchange.example", "Mozilla/5.0")
PEER = ClientIP(
    "203.0.113.9",
    How.FORWARDED,
    None,
    (Hop("10.0.0.1", Role.TRUSTED), Hop("203.0.113.9", Role.CLIENT), Hop("198.51.100.7", Role.IGNORED)),
)
NOBODY: dict[str, Any] = {
    "country": "PT",
    "subdivision": "PT-11",
    "continent": "EU",
    "asn": 3243,
    "network": frozenset(),
}
ALICE: dict[str, Any] = {
    **NOBODY,
    "credential": "session",
    "token": "valid",
    "assurance": 2,
    "auth_age": 60,
    "account": "alice",
    "status": "open",
    "verification": "full",
    "documents": frozenset({"PT"}),
    "residence": "PT",
    "nationality": "PT",
}
STORE_OUT = {
    name: Unknown(WhyUnknown.STORE_UNAVAILABLE)
    for name in ("status", "flags", "verification", "documents", "residence", "nationality", "holds")
}
UNLOCATED = {
    name: Unknown(WhyUnknown.ADDRESS_UNRESOLVED) for name in ("country", "subdivision", "continent", "asn", "network")
}
EITHER = OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset({"DE", "IR"}))
UKRAINE = OneOf(WhyUnknown.NO_RECORD, frozenset(), frozenset({"UA-"}))


def _document(
    operation: str = "withdraw",
    *,
    at: int = AT,
    client_ip: ClientIP = PEER,
    request: RequestLine = REQUEST,
    bundle: Bundle = BUNDLE,
    **facts: Any,
) -> Document:
    some = Facts(at, Operation(operation), **facts)
    verdict = evaluate(some, bundle)
    editions = ["country 2026-06-01 1f2e3d4c", "asn 2026-06-17 5a6b7c8d"]
    ruling = ruling_document(client_ip, some, bundle.digest, editions, verdict, reply_to(verdict))
    document = decision_document(ruling, decision_id=ID, at=instant_text(at), request=request, took_us=70)
    return json.loads(json.dumps(document))  # type: ignore[no-any-return]


def _ambiguous() -> Document:
    why = Ambiguity.TARGET_ENCODING
    client_ip = ClientIP(
        None, How.UNRESOLVED, Unresolved.HEADER_SYNTAX, (Hop("10.0.0.1", Role.TRUSTED), Hop("]", Role.REFUSED))
    )
    ruling = ambiguous_document(client_ip, BUNDLE.digest, why, "%2f in the path", reply_to_ambiguous(why))
    request = REQUEST._replace(path="/api%2fv1/withdrawals")
    return decision_document(ruling, decision_id=ID, at=instant_text(AT), request=request, took_us=9)


def _documents() -> dict[str, Document]:
    """Return a decision for each page, by its name; the first word of a refusal's name is its reason."""
    return {
        "allowed": _document(**ALICE),
        "sanctioned-region": _document(**{**ALICE, "country": "RU", "subdivision": "UA-43"}),
        "region-uncertain": _document(**{**ALICE, "country": "UA", "subdivision": UKRAINE}),
        "location-uncertain": _document("view", **{**ALICE, "country": EITHER, "subdivision": "DE-BE"}),
        "region-uncertain (unresolved)": _document(
            "withdraw",
            client_ip=ClientIP(None, How.UNRESOLVED, Unresolved.PEER_NOT_TRUSTED, (Hop("192.0.2.1", Role.REFUSED),)),
            **{**ALICE, **UNLOCATED},
        ),
        "jurisdiction-blocked": _document(**{**ALICE, "country": "US", "subdivision": "US-OH"}),
        "jurisdiction-exit": _document("trade.spot", at=IN_THE_WINDOW, **{**ALICE, "documents": frozenset({"US"})}),
        "jurisdiction-product": _document(
            "trade.spot", at=IN_THE_WINDOW - 2_000_000_000_000, **{**ALICE, "country": "US", "subdivision": "US-NY"}
        ),
        "account-archived": _document("support", **{**ALICE, "status": "archived"}),
        "account-restricted": _document("view", **{**ALICE, "status": "restricted"}),
        "account-flagged": _document(**{**ALICE, "status": "flagged", "holds": frozenset({"withdraw", "deposit"})}),
        "account-exit-only": _document("trade.spot", **{**ALICE, "status": "exit_only"}),
        "account-unknown": _document(**{**ALICE, **STORE_OUT}),
        "account-unknown (no account)": _document(
            "view",
            **{**ALICE, **dict.fromkeys(STORE_OUT, Unknown(WhyUnknown.NO_ACCOUNT))},
        ),
        "account-unknown (keys)": _document(
            **{
                **NOBODY,
                "credential": "session",
                **dict.fromkeys(
                    ("token", "assurance", "auth_age", "account", *STORE_OUT), Unknown(WhyUnknown.KEYS_UNAVAILABLE)
                ),
            }
        ),
        "hold": _document(**{**ALICE, "holds": frozenset({"withdraw"})}),
        "anonymous-network": _document("trade.spot", **{**ALICE, "network": frozenset({"hosting"})}),
        "credential-invalid": _document(**{**NOBODY, "credential": "session", "token": "invalid"}),
        "credential-expired": _document("view", **{**NOBODY, "credential": "session", "token": "expired"}),
        "credential-required": _document(**NOBODY),
        "step-up-required": _document(**{**ALICE, "credential": "api_key", "assurance": 1, "auth_age": None}),
        "ambiguous-request": _ambiguous(),
    }


@pytest.mark.parametrize("name", _documents())
def test_a_decision_reads_as_its_page(name: str) -> None:
    page = (PAGES / f"{name}.txt").read_text(encoding="utf-8")
    assert explain(_documents()[name], BUNDLE).text() + "\n" == page


@pytest.mark.parametrize("name", sorted(set(_documents()) - {"allowed"}))
def test_a_page_is_about_the_reason_that_names_it(name: str) -> None:
    document = _documents()[name]
    reason, _, _ = name.partition(" ")
    assert document["reply"]["reason"] == reason


def test_every_reason_of_the_library_has_a_page() -> None:
    given = {str(rule.reason) for rule in BUNDLE.rules if rule.reason is not None}
    given |= {Reason.CREDENTIAL_REQUIRED, Reason.ACCOUNT_UNKNOWN, Reason.AMBIGUOUS_REQUEST}
    assert given <= set(_documents())
    assert {path.stem for path in PAGES.iterdir()} == set(_documents())


def test_an_explanation_as_json_holds_the_same_sentences() -> None:
    explanation = explain(_documents()["account-flagged"], BUNDLE)
    document = json.loads(json.dumps(explanation.to_json()))
    assert list(document) == ["id", *TITLES]
    assert document["id"] == ID
    assert all(sentence in explanation.text() for name in TITLES for sentence in document[name])


def _section(document: Document, bundle: Bundle | None, name: str) -> str:
    return " ".join(getattr(explain(document, bundle), name))


def test_without_the_bundle_the_record_alone_is_explained() -> None:
    document = _documents()["account-flagged"]
    explanation = explain(document, None)
    assert "owner" not in explanation.text()
    assert "`flagged` of the policy `account-status` limits" in explanation.text()
    assert explanation.change == ("That cannot be worked out: the bundle that decided is not at hand.",)
    assert "under review" in _section(document, None, "told")


def test_a_bundle_that_is_another_is_refused() -> None:
    document = {**_documents()["hold"], "bundle": "0" * 64}
    with pytest.raises(ReplayError, match=r"made by the bundle 000000000000, not by [0-9a-f]{12}"):
        explain(document, BUNDLE)


def test_a_record_that_its_bundle_does_not_bear_out_is_explained_with_care() -> None:
    document = _documents()["hold"]
    document["verdict"]["reason"] = "account-flagged"
    assert "Replay says what differs" in _section(document, BUNDLE, "change")


def test_a_reply_that_was_not_the_verdicts_is_told_as_it_was_given() -> None:
    document = _documents()["allowed"]
    document["reply"] = {"status": 503, "reason": "record-unavailable"}
    assert "Status 503, `record-unavailable`: Temporarily unavailable." in _section(document, BUNDLE, "told")


def test_obligations_and_doubts_name_their_rules() -> None:
    policy = """
policy: duties
title: Duties of every kind
owner: security
rules:
  - {id: open, grant: full, when: true}
  - id: keep
    limit: read_only
    when: country == "US"
    reason: jurisdiction-blocked
    basis: tests
    on_match:
      - {hold: {operations: [withdraw], evidence: [passport, residence_permit], expires: 72h}}
      - {flag: us-connection}
  - id: rich
    limit: read_only
    when: amount_usd > 100000
    reason: identity-unverified
    basis: tests
tests:
  - {name: us, facts: {country: US}, operation: withdraw, expect: {outcome: deny}}
  - {name: rich, facts: {country: PT, amount_usd: 200000}, operation: withdraw, expect: {outcome: deny}}
"""
    bundle = load({"duties.yaml": policy}, sources_configured=None)
    facts: Mapping[str, Any] = {**ALICE, "country": "US", "destination": "new", "flags": frozenset({"b", "a"})}
    document = _document(bundle=bundle, **facts)
    text = explain(document, bundle).text()
    assert (
        "Hold `withdraw`, by `duties`/`keep`, lifted on `passport` and `residence_permit`, ending after 259200" in text
    )
    assert "Flag `us-connection`, by `duties`/`keep`." in text
    assert "`rich` of the policy `duties` (Duties of every kind; owner: security)." in text
    assert "Besides: destination `new`." in text
    assert "flags `a` and `b`" in text


def test_more_ways_than_anyone_reads_are_counted() -> None:
    grants = "\n".join(f"  - {{id: g{n}, grant: full, when: '\"flag-{n}\" in flags'}}" for n in range(20))
    policy = f"policy: many\ntitle: Many ways\nowner: tests\nrules:\n{grants}\n"
    bundle = load({"many.yaml": policy}, sources_configured=None)
    sentences = explain(_document(bundle=bundle, **ALICE), bundle).change
    assert sentences[-1] == "There are 8 further ways."
    assert len(sentences) == 13


def test_each_way_is_a_sentence_and_like_values_share_one() -> None:
    policy = """
policy: ways
title: Two ways
owner: tests
rules:
  - {id: way, grant: full, when: 'verification in ["institutional", "basic"] or "staff" in flags'}
"""
    bundle = load({"ways.yaml": policy}, sources_configured=None)
    first, second = explain(_document(bundle=bundle, **ALICE), bundle).change
    assert first == "It would have been allowed if `flags` (the marks on the account) had included `staff`."
    assert second.endswith(
        "`verification` (how far the customer's identity is verified) had been `basic` or `institutional`."
    )


def test_a_search_cut_short_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.policies.what_if.MOST_TRIALS", 2)
    assert "The search was cut short; there may be other ways." in _section(_documents()["hold"], BUNDLE, "change")


def test_a_refusal_that_nothing_would_have_changed_says_so() -> None:
    policy = "policy: shut\ntitle: Shut\nowner: tests\nrules:\n  - {id: g, grant: [view], when: true}\n"
    bundle = load({"shut.yaml": policy}, sources_configured=None)
    assert explain(_document(bundle=bundle, **ALICE), bundle).change == (
        "Nothing that the customer or the account could change by itself would have opened the operation.",
    )


def test_nothing_that_teaches_evasion_is_said() -> None:
    for name, document in _documents().items():
        for sentence in explain(document, BUNDLE).change:
            if sentence.startswith("It would have been allowed"):
                for fact in ("country", "subdivision", "network", "documents", "residence", "nationality", "VPN"):
                    assert fact not in sentence, name


def test_nothing_from_outside_reaches_the_page_raw() -> None:
    evil = "\x1b]0;owned\x07\r\n\u202e" * 40
    document = _document(
        client_ip=ClientIP("203.0.113.9", How.PEER, None, (Hop(evil, Role.PEER),)),
        request=RequestLine(evil, evil, evil, evil),
        **{**ALICE, "account": evil, "flags": frozenset({evil})},
    )
    document["id"] = evil
    document["editions"] = [evil]
    assert explain(document, BUNDLE).text().replace("\n", "").isprintable()
    ambiguous = {**_ambiguous(), "ambiguous": {"why": "method", "detail": evil}}
    assert explain(ambiguous, BUNDLE).text().replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document.pop("request"),
        lambda document: document.update(at="yesterday"),
        lambda document: document.update(at="2026-11-21T00:00:00"),
        lambda document: document.update(facts=None),
        lambda document: document["facts"].update(weather="rain"),
        lambda document: document.update(client_ip=[]),
        lambda document: document["verdict"].update(outcome="perhaps"),
        lambda document: document["reply"].update(reason="because"),
        lambda document: document["client_ip"].update(how="by magic"),
        lambda document: document.pop("bundle"),
    ],
)
def test_what_is_no_decision_is_refused_in_one_line(spoil: Any) -> None:
    document = _documents()["hold"]
    spoil(document)
    with pytest.raises(ReplayError, match=r"^this is not a whole decision: \w+ at [^\n]*$"):
        explain(document, BUNDLE)


if __name__ == "__main__":
    for page_name, recorded in _documents().items():
        (PAGES / f"{page_name}.txt").write_text(explain(recorded, BUNDLE).text() + "\n", encoding="utf-8")
