"""One decision in sentences, for who must answer the customer: what happened, why, and what would change it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from gateway.core.client_ip import How, Role, Unresolved
from gateway.core.decision import Document, instant_text, parse_instant, verdict_document
from gateway.core.errors import ReplayError
from gateway.core.facts import ACCOUNT_FACTS, CONNECTION_FACTS, CREDENTIAL_FACTS, Facts, Unknown, from_json
from gateway.core.reply import WORDS, reply_to, reply_to_ambiguous
from gateway.core.terms import Ambiguity, Credential, Outcome, Reason, TokenState, WhyUnknown
from gateway.core.verdict import RuleRef, Verdict
from gateway.policies.compile import Bundle
from gateway.policies.evaluate import evaluate
from gateway.policies.expression import facts_of
from gateway.policies.phrases import (
    CREDENTIALS,
    HOW,
    OUTCOMES,
    ROLES,
    TOKENS,
    UNRESOLVED,
    change,
    doubt,
    listed,
    printable,
    shown,
    value_of,
)
from gateway.policies.schema import FACTS
from gateway.policies.what_if import EVIDENCE, Change, Changes, changes_that_allow

TITLES: Final[Mapping[str, str]] = {
    "asked": "What was asked",
    "address": "Which address was held responsible",
    "databases": "What the databases said",
    "customer": "Who the customer was",
    "answer": "The answer",
    "rules": "Which rules determined it",
    "uncertain": "Which rules could be neither confirmed nor excluded",
    "obligations": "What followed from it",
    "told": "What the customer was told",
    "change": "What would change the answer",
}
_MOST_SETS: Final = 12


class Explanation(NamedTuple):
    """A decision in sentences, by question."""

    decision_id: str
    asked: tuple[str, ...]
    address: tuple[str, ...]
    databases: tuple[str, ...]
    customer: tuple[str, ...]
    answer: tuple[str, ...]
    rules: tuple[str, ...]
    uncertain: tuple[str, ...]
    obligations: tuple[str, ...]
    told: tuple[str, ...]
    change: tuple[str, ...]

    def text(self) -> str:
        """Return the page that a support agent reads. Questions without an answer are left out."""
        lines = [f"Decision {self.decision_id}"]
        for name, title in TITLES.items():
            sentences = getattr(self, name)
            if sentences:
                lines += ["", title, *(f"  {sentence}" for sentence in sentences)]
        return "\n".join(lines)

    def to_json(self) -> Document:
        """Return the same as a JSON object."""
        return {"id": self.decision_id, **{name: list(getattr(self, name)) for name in TITLES}}


def explain(document: Document, bundle: Bundle | None) -> Explanation:
    """Return a recorded decision in sentences. `bundle` is the one that it was made by; None where it is not at hand.

    Raise ReplayError where the document is not a decision.
    """
    try:
        return _explain(document, bundle)
    except (KeyError, ValueError, TypeError, AttributeError) as fault:
        raise ReplayError(f"this is not a whole decision: {type(fault).__name__} at {fault}") from fault


def _explain(document: Document, bundle: Bundle | None) -> Explanation:
    if bundle is not None and bundle.digest != document["bundle"]:
        msg = f"the decision was made by the bundle {str(document['bundle'])[:12]}, not by {bundle.digest[:12]}"
        raise ReplayError(msg)
    request = document["request"]
    operation = document["operation"]
    meant = f"That is the operation {shown(operation)}." if operation else "It could not be read as any operation."
    at = parse_instant(document["at"])
    decision_id = printable(document["id"])
    asked = (
        f"{shown(request['method'])} {shown(request['path'])} on {shown(request['host'])}, at {instant_text(at)}.",
        meant,
        f"The client called itself {shown(request['user_agent'])}.",
    )
    address = tuple(_address(document["client_ip"]))
    if document["verdict"] is None:
        return Explanation(decision_id, asked, address, **_ambiguous(document))
    facts = from_json(at, document["facts"], document["unknown"])
    verdict = _same_verdict(document, facts, bundle)
    recorded = document["verdict"]
    return Explanation(
        decision_id,
        asked,
        address,
        databases=tuple(_databases(document)),
        customer=tuple(_customer(document)),
        answer=tuple(_answer(recorded)),
        rules=tuple(_rules(recorded, bundle)),
        uncertain=tuple(_uncertain(recorded, bundle)),
        obligations=tuple(_obligations(recorded)),
        told=tuple(_told(document["reply"], verdict)),
        change=tuple(_change(recorded, facts, bundle, verdict)),
    )


def _same_verdict(document: Document, facts: Facts, bundle: Bundle | None) -> Verdict | None:
    """Return the verdict itself, with all that its record leaves out; None where it cannot be had."""
    if bundle is None:
        return None
    verdict = evaluate(facts, bundle)
    return verdict if verdict_document(verdict) == document["verdict"] else None


def _ambiguous(document: Document) -> dict[str, tuple[str, ...]]:
    """Return what is to be said of a request that could not be read."""
    ambiguous = document["ambiguous"]
    reply = reply_to_ambiguous(Ambiguity(ambiguous["why"]))
    return {
        "databases": (),
        "customer": ("Nobody was asked for: the request was refused before it was read.",),
        "answer": (
            f"Refused, because the request can be read in more than one way: {shown(ambiguous['why'])}.",
            f"What could not be read: {shown(ambiguous['detail'])}.",
        ),
        "rules": ("No rule: this comes before the rules.",),
        "uncertain": (),
        "obligations": (),
        "told": (f"Status {int(document['reply']['status'])}, {shown(reply.reason)}: {reply.title}. {reply.detail}",),
        "change": (f"A request that can be read in one way only. {reply.detail}",),
    }


def _address(client_ip: Mapping[str, Any]) -> Iterator[str]:
    how = HOW[How(client_ip["how"])]
    if client_ip["address"] is None:
        yield f"None: {UNRESOLVED[Unresolved(client_ip['reason'])]}. Everything about the connection is unknown."
    else:
        yield f"{shown(client_ip['address'])}: {how}."
    for number, hop in enumerate(client_ip["chain"], 1):
        nearest = ", nearest us" if number == 1 else ""
        yield f"Hop {number}{nearest}: {shown(hop['text'])}, {ROLES[Role(hop['role'])]}."


def _databases(document: Document) -> Iterator[str]:
    known, unknown = document["facts"], document["unknown"]
    certain = [f"{name} {value_of(known[name])}" for name in CONNECTION_FACTS if name in known]
    if certain:
        yield f"Certain: {'; '.join(certain)}."
    for name in CONNECTION_FACTS:
        if name in unknown:
            yield f"The {name} is {doubt(unknown[name])}."
    editions = document["editions"]
    yield f"Editions: {listed(map(shown, editions))}." if editions else "No edition was in use."


def _customer(document: Document) -> Iterator[str]:
    known, unknown = document["facts"], document["unknown"]
    yield from _credential(known)
    account = known.get("account")
    if account is not None:
        yield f"Account {shown(account)}."
    doubts: dict[str, list[str]] = {}
    for name in (*CREDENTIAL_FACTS, *ACCOUNT_FACTS):
        if name in unknown:
            doubts.setdefault(doubt(unknown[name]), []).append(name)
    for what, names in doubts.items():
        yield f"Uncertain: {listed(names)}, {what}."
    if account is not None or "account" in unknown:
        rest = [f"{name} {value_of(known[name])}" for name in ACCOUNT_FACTS[1:] if name in known]
        if rest:
            yield f"The account: {'; '.join(rest)}."
    more = [name for name in FACTS if name in known and name not in _SAID and known[name] is not None]
    if more:
        yield f"Besides: {'; '.join(f'{name} {value_of(known[name])}' for name in more)}."


_SAID: Final = frozenset(
    {"operation", "credential", "token", "assurance", "auth_age", *CONNECTION_FACTS, *ACCOUNT_FACTS}
)


def _credential(known: Mapping[str, Any]) -> Iterator[str]:
    credential, token = known.get("credential"), known.get("token")
    if credential == Credential.NONE:
        yield "Nobody was signed in: no credential came."
        return
    came = "a credential" if credential is None else CREDENTIALS[Credential(credential)]
    yield f"The request came with {came}" + ("." if token is None else f", which {TOKENS[TokenState(token)]}.")
    if token in {TokenState.EXPIRED, TokenState.INVALID}:
        yield "So nobody counted as signed in."
    if known.get("assurance"):
        age = known.get("auth_age")
        when = "" if age is None else f", {int(age)} seconds before"
        yield f"Who it was had been proved with assurance {int(known['assurance'])} of 3{when}."


def _answer(verdict: Mapping[str, Any]) -> Iterator[str]:
    yield OUTCOMES[Outcome(verdict["outcome"])]
    if verdict["reason"] is not None:
        yield f"The reason is {shown(verdict['reason'])}: {WORDS[Reason(verdict['reason'])][0]}."
    left = listed(map(shown, verdict["operations"])) if verdict["operations"] else "nothing"
    yield f"The access left open is {shown(verdict['access'])}: {left}."
    if verdict["nothing_granted"]:
        yield "No rule in force opened the operation to this customer."
    if verdict["challenge"] is not None:
        age = verdict["challenge"]["max_age_s"]
        fresh = "" if age is None else f", not older than {int(age)} seconds"
        yield f"The proof asked for: {shown(verdict['challenge']['proof'])}{fresh}."
    if verdict["outage"]:
        yield "It comes only from facts that an outage kept from us, and may be otherwise once that has passed."


def _rules(verdict: Mapping[str, Any], bundle: Bundle | None) -> Iterator[str]:
    for rule in verdict["by"]:
        does = "limits what is open" if rule["effect"] == "limit" else "asks for a proof"
        sure = ", and may apply: a fact that it names is uncertain" if rule["uncertain"] else ""
        yield (
            f"{shown(rule['rule'])} of {_policy(rule['policy'], bundle)} {does}, for {shown(rule['reason'])}{sure}. "
            f"Basis: {printable(rule['basis'])}."
        )


def _policy(name: str, bundle: Bundle | None) -> str:
    policy = next((one for one in bundle.policies if one.name == name), None) if bundle is not None else None
    if policy is None:
        return f"the policy {shown(name)}"
    return f"the policy {shown(name)} ({policy.title}; owner: {policy.owner})"


def _uncertain(verdict: Mapping[str, Any], bundle: Bundle | None) -> Iterator[str]:
    rules: dict[str, list[str]] = {}
    for ref in verdict["uncertain"]:
        policy, _, rule = ref.partition("/")
        rules.setdefault(policy, []).append(shown(rule))
    for policy, names in rules.items():
        yield f"{listed(names)} of {_policy(policy, bundle)}."


def _obligations(verdict: Mapping[str, Any]) -> Iterator[str]:
    for one in verdict["obligations"]:
        source = f"by {shown(one['policy'])}/{shown(one['rule'])}"
        evidence = f", lifted on {listed(map(shown, one['evidence']))}" if one["evidence"] else ""
        expires = f", ending after {int(one['expires_s'])} seconds" if one["expires_s"] is not None else ""
        yield f"{printable(one['kind']).capitalize()} {shown(one['value'])}, {source}{evidence}{expires}."


def _told(reply: Mapping[str, Any], verdict: Verdict | None) -> Iterator[str]:
    if reply["reason"] is None:
        yield f"Status {int(reply['status'])}: the request was let through, and the service behind answered it."
        return
    words = reply_to(verdict) if verdict is not None else None
    if words is not None and (words.status, words.reason) == (reply["status"], reply["reason"]):
        title, detail = words.title, words.detail
    else:
        title, detail = WORDS[Reason(reply["reason"])]
    yield f"Status {int(reply['status'])}, {shown(reply['reason'])}: {title}. {detail}"


def _change(recorded: Mapping[str, Any], facts: Facts, bundle: Bundle | None, verdict: Verdict | None) -> Iterator[str]:
    if recorded["outcome"] == Outcome.ALLOW:
        yield "Nothing needs to: the operation was allowed."
        return
    if recorded["outage"]:
        yield "The end of the outage. The customer need do nothing but try again."
        return
    if bundle is None:
        yield "That cannot be worked out: the bundle that decided is not at hand."
        return
    if verdict is None:
        yield "That cannot be worked out: the bundle no longer gives the recorded verdict. Replay says what differs."
        return
    if facts.country == Unknown(WhyUnknown.ADDRESS_UNRESOLVED):
        yield "An address that can be held responsible: the operator's proxies decide that; `gateway doctor` shows how."
    if facts.status == Unknown(WhyUnknown.NO_ACCOUNT):
        yield "An account: the store does not know this customer."
    changes = changes_that_allow(facts, bundle)
    yield from _sets(changes, facts)
    evidence = _on_evidence(verdict, bundle)
    if evidence:
        yield (
            f"What follows from where the request came from or from the customer's documents ({listed(evidence)}) "
            "is not listed here: it rests on evidence, and people review evidence."
        )
    elif not changes.sets:
        yield "Nothing that the customer or the account could change by itself would have opened the operation."


def _on_evidence(verdict: Verdict, bundle: Bundle) -> list[str]:
    """Return the determining rules that rest on evidence about the person or the place."""
    conditions = {rule.ref: rule.when for rule in bundle.rules}
    return [shown(rule.rule) for rule in verdict.by if facts_of(conditions[RuleRef(rule.policy, rule.rule)]) & EVIDENCE]


def _sets(changes: Changes, facts: Facts) -> Iterator[str]:
    """Return a sentence for each set of facts, its like values together."""
    groups = list(_grouped(changes.sets))
    for group in groups[:_MOST_SETS]:
        parts = [change(one, others, facts) for one, others in group]
        yield f"It would have been allowed if {listed(parts)}."
    if len(groups) > _MOST_SETS:
        yield f"There are {len(groups) - _MOST_SETS} further ways."
    if not changes.complete:
        yield "The search was cut short; there may be other ways."


def _grouped(sets: Iterable[tuple[Change, ...]]) -> Iterator[list[tuple[Change, list[Any]]]]:
    """Return the sets; those that differ in the value of one plain fact only are one, with its other values."""
    remaining = list(sets)
    while remaining:
        first = remaining.pop(0)
        others: dict[str, list[Any]] = {}
        for one in list(remaining):
            different = [(a, b) for a, b in zip(first, one, strict=False) if a != b]
            if len(one) != len(first) or len(different) != 1 or different[0][0].fact != different[0][1].fact:
                continue
            fact = different[0][0].fact
            if isinstance(different[0][0].value, frozenset) or not set(others) <= {fact}:
                continue
            others.setdefault(fact, []).append(different[0][1].value)
            remaining.remove(one)
        yield [(one, others.get(one.fact, [])) for one in first]
