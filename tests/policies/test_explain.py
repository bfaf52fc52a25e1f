"""Decisions in sentences: golden pages for every rule of the shipped policies, and nothing shown that may not be seen.

The pages stand in `tests/corpus/explanations`, to be read as a support agent would. After a change of wording, write
them again with `python -m tests.corpus.explanations` and read what changed.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.client_ip import ClientIP, Hop, How, Role
from gateway.core.customer import LANGUAGES
from gateway.core.decision import Document, RequestLine
from gateway.core.errors import ConfigError, MaskingError, ReplayError
from gateway.core.facts import Facts, OneOf, Unknown
from gateway.core.masking import Personal, Reader, masked_address, unmasking
from gateway.core.terms import Operation, Reason, WhyUnknown
from gateway.policies import compare
from gateway.policies.bundle import Bundle, load
from gateway.policies.explain import TITLES, explain
from tests.corpus.explanations.pages import (
    ALICE,
    AT,
    BUNDLE,
    BUNDLES,
    HERE,
    ID,
    OWNERS,
    PEER,
    decision,
    of_rules,
    pages,
    situations,
    unreadable,
)

PAGES = dict(pages())
SITUATIONS = situations()
RULES = of_rules()
NEVER_SUGGESTED = ("country", "region", "network", "documents", "residence", "nationality", "VPN", "amount", "signal")


def _document(
    operation: str = "withdraw",
    *,
    bundle: Bundle = BUNDLE,
    client_ip: ClientIP = PEER,
    request: RequestLine | None = None,
    **facts: Any,
) -> Document:
    document = decision(Facts(AT, Operation(operation), **facts), bundle=bundle, client_ip=client_ip)
    return document if request is None else {**document, "request": request._asdict()}


@pytest.mark.parametrize("name", PAGES)
def test_a_decision_reads_as_its_page(name: str) -> None:
    assert PAGES[name] == (HERE / name).read_text(encoding="utf-8")


def test_every_rule_that_can_refuse_has_a_page_and_every_page_its_decision() -> None:
    rules = (rule for bundle in BUNDLES.values() for rule in bundle.rules)
    refusing = {f"{rule.policy}.{rule.id}" for rule in rules if rule.reason is not None}
    assert refusing == set(RULES)
    assert {path.name for path in HERE.glob("*.txt")} == set(PAGES)


def test_every_reason_of_the_library_is_told_on_some_page() -> None:
    told = {document["reply"]["reason"] for document in SITUATIONS.values()}
    told |= {document["reply"]["reason"] for _, document in RULES.values()}
    given = {str(rule.reason) for rule in BUNDLE.rules if rule.reason is not None}
    assert told >= given | {Reason.CREDENTIAL_REQUIRED, Reason.AMBIGUOUS_REQUEST, Reason.RECORD_UNAVAILABLE, None}


@pytest.mark.parametrize("name", RULES)
def test_the_page_of_a_rule_names_it_with_its_reason_its_basis_and_its_owner(name: str) -> None:
    rule, document = RULES[name]
    explanation = explain(document, BUNDLES[document["bundle"]])
    (sentence,) = (one for one in explanation.rules if one.startswith(f"`{rule.id}` of"))
    assert f"`{rule.reason}`" in sentence
    assert str(rule.basis) in sentence
    assert f"owner: {OWNERS[rule.policy]}" in sentence


def test_an_explanation_as_json_holds_the_same_sentences() -> None:
    explanation = explain(SITUATIONS["under review and on hold"], BUNDLE)
    document = json.loads(json.dumps(explanation.to_json()))
    assert list(document) == ["id", "role", "masked", *TITLES]
    assert (document["id"], document["role"], document["masked"]) == (ID, "support", [str(one) for one in Personal])
    assert all(sentence in explanation.text() for name in TITLES for sentence in document[name])


def test_each_role_reads_deeper_than_the_one_before() -> None:
    _, document = RULES["embargoed-regions.embargoed-country"]
    support, analyst, auditor = (explain(document, BUNDLE, reader).text() for reader in Reader)
    assert "It says: `known(country) and country in embargoed_countries`." not in support
    assert "It says: `known(country) and country in embargoed_countries`." in analyst
    assert "It stands in `embargoed-regions.yaml`, line" not in analyst
    assert "It stands in `embargoed-regions.yaml`, line" in auditor
    assert "Its list `embargoed-countries` (Countries under a comprehensive embargo" in auditor
    assert BUNDLE.digest[:12] not in support
    assert BUNDLE.digest[:12] in analyst
    assert BUNDLE.digest in auditor


def test_support_reads_no_rule_that_only_might_have_applied() -> None:
    document = SITUATIONS["the store did not answer"]
    assert explain(document, BUNDLE).uncertain == ()
    assert "`documents-unread`" in " ".join(explain(document, BUNDLE, Reader.ANALYST).uncertain)


country = st.sampled_from(("XQ", "XZ", "XY"))
countries = st.frozensets(country, min_size=1, max_size=3)
doubtful = st.builds(
    OneOf, st.just(WhyUnknown.SOURCES_DISAGREE), st.frozensets(countries, min_size=2, max_size=2), st.just(frozenset())
)
octet = st.integers(1, 254)
addresses = st.one_of(
    st.builds("{}.{}.{}.{}".format, octet, octet, octet, octet),
    st.builds("2001:db8:{:x}:{:x}::{:x}".format, octet, octet, octet),
)


@settings(max_examples=150, deadline=None)
@given(addresses, countries | doubtful, country, st.text(min_size=6, max_size=60), st.sampled_from(Reader), st.data())
def test_no_reader_reads_what_that_one_may_not_see(
    address: str, documents: Any, home: str, agent: str, reader: Reader, data: st.DataObject
) -> None:
    agent = f"Agent<{agent}>"
    place = data.draw(st.sampled_from(("PT", "US", "IR", "DE")))
    facts = {**ALICE, "country": place, "documents": documents, "residence": home, "nationality": home}
    chain = (Hop(f"{address}:443" if "." in address else f"[{address}]:443", Role.CLIENT), Hop(address, Role.IGNORED))
    document = _document(
        data.draw(st.sampled_from([str(one) for one in Operation])),
        client_ip=ClientIP(address, How.FORWARDED, None, chain),
        request=RequestLine("GET", f"/api/{address}/x", address, agent),
        **facts,
    )
    now = Facts(
        AT + 1, Operation(document["operation"]), **{**facts, "residence": "XY", "documents": frozenset({"XY"})}
    )
    comparison = compare.now(document, now, BUNDLE, BUNDLE)
    explanation = explain(document, BUNDLE, reader, comparison=comparison)
    network = (masked_address(address) or "").partition("/")[0]
    for text in (explanation.text(), json.dumps(explanation.to_json())):
        sees = reader is not Reader.SUPPORT
        assert (address in text) is (sees or address == network)
        assert ("Agent<" in text) is sees
        assert (home in text) is (reader is Reader.AUDITOR)
        assert any(code in text for code in ("XQ", "XZ", "XY")) is (reader is Reader.AUDITOR)


def test_whoever_says_why_reads_what_was_asked_for_and_no_more() -> None:
    document = SITUATIONS["allowed"]
    leave = unmasking(document, Reader.SUPPORT, "bob", AT, "ticket 4711: disputed address", [Personal.ADDRESSES])
    explanation = explain(document, BUNDLE, Reader.SUPPORT, leave)
    assert "`203.0.113.9`: the address nearest us" in explanation.address[0]
    assert "Of each address only its network is shown here." not in explanation.address
    assert explanation.masked == ("user-agent", "countries")
    with pytest.raises(MaskingError, match="not of this one"):
        explain(document, BUNDLE, Reader.ANALYST, leave)


def test_whether_it_would_be_the_same_now_is_said_where_it_was_compared() -> None:
    document = SITUATIONS["under review and on hold"]
    assert explain(document, BUNDLE).now == ()
    facts = compare.facts_then(document)._replace(status="open")
    said = explain(document, BUNDLE, comparison=compare.now(document, facts, BUNDLE, BUNDLE)).now
    assert said[0].startswith("No: at 2026-11-21T12:00:00.000000Z it would be refused by `hold-withdraw`, for `hold`.")
    assert "What made the difference: the status, alone." in said


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_customer_read_is_given_in_their_language_too(language: str) -> None:
    told = explain(SITUATIONS["under review and on hold"], BUNDLE, language=language).told
    unread = explain(SITUATIONS["unreadable"], BUNDLE, language=language).told
    assert (len(told), len(unread)) == ((1, 1) if language == "en" else (2, 2))
    assert explain(SITUATIONS["allowed"], BUNDLE, language=language).told[1:] == ()


def test_a_language_without_texts_is_refused() -> None:
    with pytest.raises(ConfigError, match="there are no texts in `nl`"):
        explain(SITUATIONS["allowed"], BUNDLE, language="nl")


def _section(document: Document, bundle: Bundle | None, name: str) -> str:
    return " ".join(getattr(explain(document, bundle), name))


def test_without_the_bundle_the_record_alone_is_explained() -> None:
    document = SITUATIONS["under review and on hold"]
    explanation = explain(document, None)
    assert "owner" not in explanation.text()
    assert "`flagged` of the policy `account-status` limits" in explanation.text()
    assert explanation.change == ("That cannot be worked out: the bundle that decided is not at hand.",)
    assert "under review" in _section(document, None, "told")


def test_a_bundle_that_is_another_is_refused() -> None:
    document = {**RULES["holds.hold-withdraw"][1], "bundle": "0" * 64}
    with pytest.raises(ReplayError, match=r"made by the bundle 000000000000, not by [0-9a-f]{12}"):
        explain(document, BUNDLE)


def test_a_record_that_its_bundle_does_not_bear_out_is_explained_with_care() -> None:
    document = deepcopy(RULES["holds.hold-withdraw"][1])
    document["verdict"]["reason"] = "account-flagged"
    assert "Replay says what differs" in _section(document, BUNDLE, "change")


def test_a_reply_that_was_not_the_verdicts_is_told_as_it_was_given() -> None:
    document = deepcopy(SITUATIONS["allowed"])
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
      - {flag: us-ip, after: {days: 3, within: 30d}}
      - {hold: {operations: [transfer], expires: 72h, expeditable: false}}
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
    facts = {**facts, "amount_usd": Unknown(WhyUnknown.NOT_CONFIGURED)}
    document = _document(bundle=bundle, **facts)
    text = explain(document, bundle, Reader.ANALYST).text()
    assert (
        "Hold `withdraw`, by `duties`/`keep`, lifted on `passport` and `residence_permit`, ending after 3 days" in text
    )
    assert "Flag `us-connection`, by `duties`/`keep`." in text
    assert "Flag `us-ip`, by `duties`/`keep`, once it was so on 3 days within 30." in text
    assert "Hold `transfer`, by `duties`/`keep`, ending after 3 days, and by nobody before." in text
    assert "`rich` of the policy `duties` (Duties of every kind; owner: security)." in text
    assert "Besides: risk `low`; destination `new`." in text
    assert "marks `a` and `b`" in text


EXCEPTED = """
policy: us-exit
title: United States
owner: compliance
rules:
  - {id: open, grant: full, when: true}
  - {id: us-closed, limit: support_only, when: country == "US", reason: jurisdiction-blocked, basis: tests}
tests:
  - {name: us, facts: {country: US}, operation: withdraw, expect: {outcome: deny}}
"""
EXCEPTION = """
exceptions: desk
owner: customer-care
entries:
  - id: settle
    operations: [withdraw]
    accounts: [alice, mallory]
    lifts: [us-exit/us-closed]
    reason: A court asks that the balances be paid out
    basis: Ticket 4711
    approved_by: head-of-legal
    from: 2026-11-01
    until: 2026-12-01
"""


def test_an_exception_that_opened_it_is_told_to_each_role_as_deep_as_it_reads() -> None:
    bundle = load({"p.yaml": EXCEPTED, "e.yaml": EXCEPTION}, sources_configured=None)
    document = _document(bundle=bundle, **{**ALICE, "country": "US"})
    pages = {reader: explain(document, bundle, reader).text() for reader in Reader}
    for page in pages.values():
        assert "It is open by an exception: otherwise rules would refuse it or ask for a proof." in page
        assert (
            "`us-closed` of the policy `us-exit` (United States; owner: compliance) does not apply here: the exception "
            "`desk/settle` of customer-care lifts it until `2026-12-01T00:00:00.000000Z`."
        ) in page
        assert "mallory" not in page
    why = "It was made because: A court asks that the balances be paid out. Basis: Ticket 4711. Approved by head-of-leg"
    assert [why in pages[reader] for reader in Reader] == [False, True, True]
    assert ["It stands in `e.yaml`, line 5" in pages[reader] for reader in Reader] == [False, False, True]


def test_an_exception_that_was_not_enough_is_told_as_well() -> None:
    flagged = "  - {id: held, limit: none, when: '\"us-ip\" in flags', reason: hold, basis: tests}\ntests:\n"
    test = "  - {name: held, facts: {flags: [us-ip]}, operation: view, expect: {outcome: deny}}\n"
    policy = EXCEPTED.replace("tests:\n", flagged) + test
    bundle = load({"p.yaml": policy, "e.yaml": EXCEPTION}, sources_configured=None)
    document = _document(bundle=bundle, **{**ALICE, "country": "US", "flags": frozenset({"us-ip"})})
    page = explain(document, bundle, Reader.SUPPORT).text()
    assert "`us-closed` of the policy" in page
    assert "It is open by an exception" not in page


def test_nothing_that_teaches_evasion_is_said() -> None:
    documents = [*SITUATIONS.values(), *(document for _, document in RULES.values())]
    suggested = [
        sentence
        for document in documents
        for sentence in explain(document, BUNDLES[document["bundle"]], Reader.AUDITOR).change
        if sentence.startswith("It would have been allowed")
    ]
    assert len(suggested) > 10
    for sentence in suggested:
        assert not [fact for fact in NEVER_SUGGESTED if fact in sentence]


def test_nothing_from_outside_reaches_the_page_raw() -> None:
    evil = "\x1b]0;owned\x07\r\n\u202e" * 40
    document = _document(
        client_ip=ClientIP("203.0.113.9", How.PEER, None, (Hop(evil, Role.PEER),)),
        request=RequestLine(evil, evil, evil, evil),
        **{**ALICE, "account": evil, "flags": frozenset({evil})},
    )
    document["id"] = evil
    document["editions"] = [evil]
    assert explain(document, BUNDLE, Reader.AUDITOR).text().replace("\n", "").isprintable()
    ambiguous = {**unreadable(), "ambiguous": {"why": "method", "detail": evil}}
    assert explain(ambiguous, BUNDLE, Reader.AUDITOR).text().replace("\n", "").isprintable()


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
    document = deepcopy(RULES["holds.hold-withdraw"][1])
    spoil(document)
    with pytest.raises(ReplayError, match=r"^this is not a whole decision: \w+ at [^\n]*$"):
        explain(document, BUNDLE)


def test_a_decision_that_was_measured_says_how_unusual_it_was() -> None:
    detail = {
        "score": 5.512,
        "lines": {"medium": 0.0, "high": 4.9},
        "learning": ["the account has 2.0 trusted logins"],
        "terms": [{"name": "device", "value": 2.9, "words": "device key never seen"}],
        "signals": [
            {"name": "impossible_travel", "measured": {"km": 900, "hours": 0.5}},
            {"name": "odd\n", "measured": {}},
        ],
    }
    document = {**SITUATIONS["allowed"], "signals_detail": detail}
    assert explain(document, BUNDLE, Reader.AUDITOR).signals == (
        "It scored 5.51: above 0 the risk is medium, above 4.9 it is high.",
        "It says little yet: the account has 2.0 trusted logins.",
        "Signal impossible_travel: km 900, hours 0.5.",
        r"Signal odd\n.",
        "+2.90 for device: device key never seen.",
    )
    support = explain(document, BUNDLE, Reader.SUPPORT)
    assert support.signals[-1] == "+2.90 for device."
    assert "How unusual it was for this customer" in support.text()
    assert explain(SITUATIONS["allowed"], BUNDLE).signals == ()
