"""The decisions whose explanations stand here, and how a page of the corpus is made of one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.adapters.policy_files import UNLICENSED
from gateway.core.client_ip import ClientIP, Hop, How, Role, Unresolved
from gateway.core.customer import LANGUAGES, texts, told
from gateway.core.decision import (
    Document,
    RequestLine,
    ambiguous_document,
    decision_document,
    instant_text,
    ruling_document,
)
from gateway.core.facts import Facts, OneOf, Unknown
from gateway.core.masking import Reader
from gateway.core.reply import record_unavailable, reply_to, reply_to_ambiguous
from gateway.core.terms import Ambiguity, Effect, Operation, Outcome, Status, WhyUnknown
from gateway.policies import library
from gateway.policies.bundle import Bundle, load
from gateway.policies.evaluate import evaluate
from gateway.policies.explain import explain
from gateway.policies.rules import PolicyTest, Rule
from gateway.policies.testing import QUIET, SIGNED_IN, facts_of_test

HERE = Path(__file__).parent
FOLDER = Path(library.__file__).parent
SOURCES = {
    path.relative_to(FOLDER).as_posix(): path.read_text(encoding="utf-8") for path in sorted(FOLDER.rglob("*.yaml"))
}
LICENSED = {name: text for name, text in SOURCES.items() if not name.startswith(UNLICENSED)}
BUNDLE = load(LICENSED, sources_configured=None)
"""What `library:*` gives."""
UNLICENSED_BUNDLES = tuple(
    load({**LICENSED, name: text}, sources_configured=None) for name, text in SOURCES.items() if name not in LICENSED
)
"""The same, each with one market besides for which an exchange may have no licence."""
BUNDLES = {one.digest: one for one in (BUNDLE, *UNLICENSED_BUNDLES)}
OWNERS = {policy.name: policy.owner for bundle in BUNDLES.values() for policy in bundle.policies}
AT = 1_795_262_400_000_000
DAY = 86_400_000_000
ID = "019b0a2c-4d00-7abc-8def-0123456789ab"
REQUEST = RequestLine("POST", "/api/v1/example", "exchange.example", "Mozilla/5.0")
PEER = ClientIP(
    "203.0.113.9",
    How.FORWARDED,
    None,
    (Hop("10.0.0.1", Role.TRUSTED), Hop("203.0.113.9", Role.CLIENT), Hop("198.51.100.7", Role.IGNORED)),
)
PLACE: dict[str, Any] = {
    "country": "PT",
    "subdivision": "PT-11",
    "continent": "EU",
    "asn": 3243,
    "network": frozenset(),
}
NOBODY: dict[str, Any] = {**QUIET, **PLACE}
ALICE: dict[str, Any] = {
    **NOBODY,
    **SIGNED_IN,
    "assurance": 2,
    "account": "alice",
    "status": "open",
    "verification": "full",
    "documents": frozenset({"PT"}),
    "residence": "PT",
    "nationality": "PT",
}
ELSEWHERE = {
    "CU": ("CU-03", "NA"), "US": ("US-OH", "NA"), "PR": ("PR-SJ", "NA"), "CA": ("CA-ON", "NA"), "DE": ("DE-BE", "EU"),
    "GB": ("GB-LND", "EU"), "ES": ("ES-MD", "EU"), "RU": ("RU-MOW", "EU"), "AE": ("AE-DU", "AS"), "SY": ("SY-DI", "AS"),
    "JP": ("JP-13", "AS"), "SG": ("SG-01", "AS"), "HK": ("CN-HK", "AS"),
}  # fmt: skip
STORED = ("status", "flags", "verification", "documents", "residence", "nationality", "holds")


def decision(facts: Facts, *, client_ip: ClientIP = PEER, bundle: Bundle = BUNDLE, recorded: bool = True) -> Document:
    """Return the decision of these facts, as it is found again."""
    verdict = evaluate(facts, bundle)
    built = [instant_text(facts.at - days * DAY)[:10] for days in (20, 4)]
    editions = [f"country {built[0]} 1f2e3d4c", f"asn {built[1]} 5a6b7c8d"]
    overloaded = facts.status == Unknown(WhyUnknown.OVERLOADED)
    reply = reply_to(verdict, overloaded=overloaded) if recorded else record_unavailable(verdict)
    ruling = ruling_document(client_ip, facts, bundle.digest, editions, verdict, reply)
    document = decision_document(ruling, decision_id=ID, at=instant_text(facts.at), request=REQUEST, took_us=70)
    return json.loads(json.dumps(document))  # type: ignore[no-any-return]


def unreadable() -> Document:
    """Return the decision of a request that could not be read."""
    why = Ambiguity.TARGET_ENCODING
    chain = (Hop("10.0.0.1", Role.TRUSTED), Hop("]", Role.REFUSED))
    client_ip = ClientIP(None, How.UNRESOLVED, Unresolved.HEADER_SYNTAX, chain)
    ruling = ambiguous_document(client_ip, BUNDLE.digest, why, "%2f in the path", reply_to_ambiguous(why))
    request = REQUEST._replace(path="/api%2fv1/withdrawals")
    return decision_document(ruling, decision_id=ID, at=instant_text(AT), request=request, took_us=9)


def _of(operation: str, facts: dict[str, Any], **more: Any) -> Document:
    return decision(Facts(AT, Operation(operation), **facts), **more)


def situations() -> dict[str, Document]:
    """Return the decisions that no test of a rule brings about, by name."""
    lost = dict.fromkeys(STORED, Unknown(WhyUnknown.STORE_UNAVAILABLE))
    missing = dict.fromkeys(STORED, Unknown(WhyUnknown.NO_ACCOUNT))
    unchecked = dict.fromkeys(
        ("token", "assurance", "auth_age", "account", *STORED), Unknown(WhyUnknown.KEYS_UNAVAILABLE)
    )
    nowhere = dict.fromkeys(PLACE, Unknown(WhyUnknown.ADDRESS_UNRESOLVED))
    untrusted = ClientIP(None, How.UNRESOLVED, Unresolved.PEER_NOT_TRUSTED, (Hop("192.0.2.1", Role.REFUSED),))
    unasked: Any = Unknown(WhyUnknown.OVERLOADED)
    either = OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset({"DE", "IR"}))
    held = {**ALICE, "status": "flagged", "holds": frozenset({"withdraw", "deposit"})}
    return {
        "allowed": _of("withdraw", ALICE),
        "not recorded": _of("withdraw", ALICE, recorded=False),
        "nobody signed in": _of("withdraw", NOBODY),
        "a session that has ended": _of("view", {**NOBODY, "credential": "session", "token": "expired"}),
        "an api key that may not withdraw": _of(
            "withdraw", {**ALICE, "credential": "api_key", "assurance": 1, "auth_age": None}
        ),
        "the store did not answer": _of("withdraw", {**ALICE, **lost}),
        "the store does not know the customer": _of("view", {**ALICE, **missing}),
        "the keys could not be had": _of("withdraw", {**NOBODY, "credential": "session", **unchecked}),
        "no address to hold responsible": _of("withdraw", {**ALICE, **nowhere}, client_ip=untrusted),
        "databases that disagree": _of("view", {**ALICE, "country": either, "subdivision": "DE-BE"}),
        "under review and on hold": _of("withdraw", held),
        "too much to do": decision(Facts(AT, Operation.WITHDRAW, *[unasked] * (len(Facts._fields) - 2))),
        "unreadable": unreadable(),
    }


def of_rules() -> dict[str, tuple[Rule, Document]]:
    """Return for each rule of the library that can refuse a decision that it determines, from its policy's tests."""
    found: dict[str, tuple[Rule, Document]] = {}
    for bundle, policy in ((one, policy) for one in BUNDLES.values() for policy in one.policies):
        for rule in policy.rules:
            name = f"{rule.policy}.{rule.id}"
            if rule.effect is not Effect.GRANT and name not in found:
                documents = (_of_test(test, facts_of_test(test, policy).at, bundle) for test in policy.tests)
                found[name] = next((rule, one) for one in documents if _determined(one, rule))
    return found


def _determined(document: Document, rule: Rule) -> bool:
    verdict = document["verdict"]
    by = {(one["policy"], one["rule"]) for one in verdict["by"]}
    return verdict["outcome"] != Outcome.ALLOW and tuple(rule.ref) in by


def _of_test(test: PolicyTest, at: int, bundle: Bundle) -> Document:
    """Return the decision of a test: what it does not mention is as with Alice, at the place that it names."""
    stated = dict(test.facts)
    customer = any(name in stated for name in ("account", *STORED)) and stated.get("status") != Status.NONE
    base = dict(ALICE if customer or ("token" not in stated and test.facts) else NOBODY)
    country = stated.get("country")
    if isinstance(country, str) and country in ELSEWHERE:
        base["subdivision"], base["continent"] = ELSEWHERE[country]
    if stated.get("credential") == "api_key":
        base["auth_age"] = None
    return decision(Facts(at or AT, test.operation, **{**base, **stated}), bundle=bundle)


def pages() -> Iterator[tuple[str, str]]:
    """Yield name and text of every page."""
    documents = {**situations(), **{name: document for name, (_, document) in of_rules().items()}}
    for name, document in documents.items():
        yield f"{name}.txt", page(document)


def page(document: Document) -> str:
    """Return what each role reads of a decision, and the customer in each language."""
    bundle = BUNDLES[document["bundle"]]
    parts = [f"=== {reader}\n\n{explain(document, bundle, reader).text()}\n" for reader in Reader]
    for language in LANGUAGES:
        text = told(document, language)
        if text is not None:
            parts.append(f"=== customer, {texts(language).language}\n\n{text.title}\n{text.detail}\n")
    return "\n".join(parts)


def write() -> None:
    """Write every page again, and remove those that are none any more."""
    for path in HERE.glob("*.txt"):
        path.unlink()
    for name, text in pages():
        (HERE / name).write_text(text, encoding="utf-8")
