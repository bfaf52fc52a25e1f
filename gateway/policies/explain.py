"""One decision in sentences, for who must answer the customer: what happened, why, and what would change it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from gateway.core.customer import DEFAULT, texts, told
from gateway.core.decision import Document, instant_text, parse_instant, verdict_document
from gateway.core.errors import ReplayError
from gateway.core.evidence import after_of
from gateway.core.facts import Facts, from_json
from gateway.core.masking import Reader, Unmasking, masked, seen_by
from gateway.core.reply import WORDS, reply_to, reply_to_ambiguous
from gateway.core.terms import Ambiguity, Effect, Operation, Outcome, Proof, Reason
from gateway.core.verdict import Verdict
from gateway.policies.compare import Comparison, lists_of
from gateway.policies.compile import Bundle
from gateway.policies.evaluate import evaluate
from gateway.policies.phrases import ASKED, OUTCOMES, duration, listed, operation_words, printable, shown
from gateway.policies.rules import Rule
from gateway.policies.since import since
from gateway.policies.situation import address, asked, customer, databases
from gateway.policies.ways import ways

TITLES: Final[Mapping[str, str]] = {
    "asked": "What was asked",
    "address": "Which address was held responsible",
    "databases": "What the databases said",
    "customer": "Who the customer was",
    "signals": "How unusual it was for this customer",
    "answer": "The answer",
    "rules": "Which rules determined it",
    "uncertain": "Which rules could be neither confirmed nor excluded",
    "obligations": "What the rules asked for besides",
    "told": "What the customer was told",
    "change": "What would change the answer",
    "now": "Whether it would be the same now",
    "record": "What it can be checked by",
}


class Explanation(NamedTuple):
    """A decision in sentences, by question."""

    decision_id: str
    reader: Reader
    masked: tuple[str, ...]
    """The kinds of personal data that are left out."""
    asked: tuple[str, ...]
    address: tuple[str, ...]
    databases: tuple[str, ...]
    customer: tuple[str, ...]
    signals: tuple[str, ...]
    """Empty where nothing was measured."""
    answer: tuple[str, ...]
    rules: tuple[str, ...]
    uncertain: tuple[str, ...]
    """For analysts and auditors."""
    obligations: tuple[str, ...]
    told: tuple[str, ...]
    change: tuple[str, ...]
    now: tuple[str, ...]
    """Empty where nobody compared it."""
    record: tuple[str, ...]
    """For analysts and auditors."""

    def text(self) -> str:
        """Return the page. Questions without an answer are left out."""
        lines = [f"Decision {self.decision_id}"]
        for name, title in TITLES.items():
            sentences = getattr(self, name)
            if sentences:
                lines += ["", title, *(f"  {sentence}" for sentence in sentences)]
        return "\n".join(lines)

    def to_json(self) -> Document:
        """Return the same as a JSON object."""
        head = {"id": self.decision_id, "role": str(self.reader), "masked": list(self.masked)}
        return {**head, **{name: list(getattr(self, name)) for name in TITLES}}


def explain(  # noqa: PLR0917 - the first two say what, the others for whom
    document: Document,
    bundle: Bundle | None,
    reader: Reader = Reader.SUPPORT,
    leave: Unmasking | None = None,
    comparison: Comparison | None = None,
    language: str = DEFAULT,
) -> Explanation:
    """Return a recorded decision in sentences. `bundle` is the one that it was made by; None where it is not at hand.

    `reader` is for whom: support sees no address, user agent or country of a person, an auditor all; the rules' own
    conditions are for analysts and auditors. `leave` shows what is masked otherwise. `comparison` says whether it would
    be the same now. `language` is that of the customer. Raise ReplayError where the document is not a decision,
    MaskingError where the leave is for another, ConfigError where there are no texts in the language.
    """
    texts(language)
    try:
        return _explain(document, bundle, reader, leave, comparison, language)
    except (KeyError, ValueError, TypeError, AttributeError) as fault:
        raise ReplayError(f"this is not a whole decision: {type(fault).__name__} at {fault}") from fault


def _explain(  # noqa: PLR0917 - as above
    document: Document,
    bundle: Bundle | None,
    reader: Reader,
    leave: Unmasking | None,
    comparison: Comparison | None,
    language: str,
) -> Explanation:
    if bundle is not None and bundle.digest != document["bundle"]:
        msg = f"the decision was made by the bundle {str(document['bundle'])[:12]}, not by {bundle.digest[:12]}"
        raise ReplayError(msg)
    seen = seen_by(document, reader, leave)
    visible = masked(document, seen)
    deep = reader is not Reader.SUPPORT
    recorded = document["verdict"]
    parts: dict[str, Iterable[str]] = {
        "asked": asked(visible),
        "address": address(visible),
        "record": _record(document, bundle, reader) if deep else (),
    }
    if recorded is None:
        parts |= _ambiguous(visible, language)
    else:
        at = parse_instant(document["at"])
        facts = from_json(at, document["facts"], document["unknown"])
        verdict = _same_verdict(document, facts, bundle)
        parts |= {
            "databases": databases(visible, digests=deep),
            "customer": customer(visible),
            "answer": _answer(recorded, document["reply"], codes=deep),
            "rules": _rules(recorded, bundle, reader),
            "uncertain": _uncertain(recorded, bundle) if deep else (),
            "signals": _signals(visible),
            "obligations": _obligations(recorded),
            "told": _told(document, verdict, language),
            "change": ways(recorded, document["reply"], facts, bundle, verdict),
            "now": () if comparison is None else since(comparison, seen),
        }
    sentences: dict[str, Any] = {name: tuple(parts.get(name, ())) for name in TITLES}
    return Explanation(printable(document["id"]), reader, tuple(visible["masked"]), **sentences)


def _same_verdict(document: Document, facts: Facts, bundle: Bundle | None) -> Verdict | None:
    """Return the verdict itself, with all that its record leaves out; None where it cannot be had."""
    if bundle is None:
        return None
    verdict = evaluate(facts, bundle)
    return verdict if verdict_document(verdict) == document["verdict"] else None


def _ambiguous(document: Document, language: str) -> dict[str, Iterable[str]]:
    """Return what is to be said of a request that could not be read."""
    ambiguous = document["ambiguous"]
    reply = reply_to_ambiguous(Ambiguity(ambiguous["why"]))
    status = int(document["reply"]["status"])
    return {
        "customer": ("Nobody was asked for: the request was refused before it was read.",),
        "answer": (
            f"Refused, because the request can be read in more than one way: {shown(ambiguous['why'])}.",
            f"What could not be read: {shown(ambiguous['detail'])}.",
        ),
        "rules": ("No rule: this comes before the rules.",),
        "told": (
            f"Status {status}, {shown(reply.reason)}: {reply.title}. {reply.detail}",
            *_translated(document, language),
        ),
        "change": (f"A request that can be read in one way only. {reply.detail}",),
    }


def _answer(verdict: Mapping[str, Any], reply: Mapping[str, Any], *, codes: bool) -> Iterator[str]:
    allowed = verdict["outcome"] == Outcome.ALLOW
    if allowed and reply["reason"] is not None:
        yield "Allowed by the rules, and refused because the decision could not be recorded."
    else:
        yield OUTCOMES[Outcome(verdict["outcome"])]
    if verdict["outcome"] != Outcome.DENY and verdict.get("excepted"):
        yield "It is open by an exception: otherwise rules would refuse it or ask for a proof."
    if verdict["reason"] is not None:
        yield f"The reason is {shown(verdict['reason'])}: {WORDS[Reason(verdict['reason'])][0]}."
    yield _left(verdict, codes=codes)
    if verdict["nothing_granted"]:
        yield "No rule in force opened the operation to this customer."
    if verdict["challenge"] is not None:
        age = verdict["challenge"]["max_age_s"]
        fresh = "" if age is None else f", not older than {duration(age)}"
        proof = verdict["challenge"]["proof"]
        yield f"The proof asked for: {ASKED[Proof(proof)]} ({shown(proof)}){fresh}."
    if verdict["outage"]:
        yield "It comes only from facts that an outage kept from us, and may be otherwise once that has passed."


def _left(verdict: Mapping[str, Any], *, codes: bool) -> str:
    """Return what is left open, with its codes for those who read them."""
    level = f" (the named level is {shown(verdict['access'])})" if codes else ""
    challenge = ", with that proof where it is asked for" if verdict["challenge"] is not None else ""
    open_now = [one for one in Operation if one in verdict["operations"]]
    if len(open_now) == len(Operation):
        return f"What the rules leave open{challenge}: everything{level}."
    if not open_now:
        return f"What the rules leave open: nothing{level}."
    words = [operation_words(one) + (f" {shown(one)}" if codes else "") for one in open_now]
    return f"What the rules leave open{challenge}: {listed(words)}{level}."


def _rules(verdict: Mapping[str, Any], bundle: Bundle | None, reader: Reader) -> Iterator[str]:
    own = {} if bundle is None else {tuple(rule.ref): rule for rule in bundle.rules}
    for rule in verdict["by"]:
        does = "limits what is open" if rule["effect"] == Effect.LIMIT else "asks for a proof"
        sure = ", and may apply: a fact that it names is uncertain" if rule["uncertain"] else ""
        yield (
            f"{shown(rule['rule'])} of {_policy(rule['policy'], bundle)} {does}, for {shown(rule['reason'])}{sure}. "
            f"Basis: {printable(rule['basis'])}."
        )
        text = own.get((rule["policy"], rule["rule"]))
        if text is not None and reader is not Reader.SUPPORT:
            yield f"  It says: {shown(' '.join(text.when_text.split()))}."
        if text is not None and bundle is not None and reader is Reader.AUDITOR:
            yield from _provenance(text, bundle)
    yield from _excepted(verdict, bundle, reader)


def _excepted(verdict: Mapping[str, Any], bundle: Bundle | None, reader: Reader) -> Iterator[str]:
    """Yield which rules do not apply by exception. Whom else an exception is for is nobody's business here."""
    known = {} if bundle is None else {one.name: one for one in bundle.exceptions}
    for entry in verdict.get("excepted", ()):
        yield (
            f"{shown(entry['rule'])} of {_policy(entry['policy'], bundle)} does not apply here: the exception "
            f"{shown(entry['exception'])} of {printable(entry['owner'])} lifts it until {shown(entry['until'])}."
        )
        one = known.get(entry["exception"])
        if one is None or reader is Reader.SUPPORT:
            continue
        approved = "" if one.approved_by is None else f" Approved by {printable(one.approved_by)}."
        yield f"  It was made because: {printable(one.reason)}. Basis: {printable(one.basis)}.{approved}"
        if reader is Reader.AUDITOR:
            dates = f"from {instant_text(one.start)} until {instant_text(one.end)}"
            yield f"  It stands in {shown(one.place.file)}, line {one.place.line}, in force {dates}."


def _provenance(rule: Rule, bundle: Bundle) -> Iterator[str]:
    """Yield where a rule stands, since when it is in force, and what lists it goes by."""
    yield f"  It stands in {shown(rule.place.file)}, line {rule.place.line}, {_in_force(rule)}."
    for name in sorted(lists_of(rule)):
        one = bundle.lists[name]
        yield f"  Its list {shown(one.name)} ({one.title}) is of {one.date}, from {printable(one.source)}."


def _in_force(rule: Rule) -> str:
    start = "" if rule.start is None else f" from {instant_text(rule.start)}"
    end = "" if rule.end is None else f" until {instant_text(rule.end)}"
    return f"in force{start}{end}" if start or end else "in force without a date"


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


def _signals(visible: Document) -> Iterator[str]:
    """Yield the score, what was unusual, and the terms with what speaks most against the customer first."""
    detail = visible.get("signals_detail")
    if detail is None:
        return
    lines = detail["lines"]
    yield (
        f"It scored {detail['score']:.2f}: above {lines['medium']:g} the risk is medium, above {lines['high']:g} it is "
        "high."
    )
    yield from (f"It says little yet: {printable(one)}." for one in detail["learning"])
    for one in detail["signals"]:
        measured = one["measured"]
        told = "" if not measured else ": " + ", ".join(f"{name} {value}" for name, value in measured.items())
        yield printable(f"Signal {one['name']}{told}.")
    for one in detail["terms"]:
        words = "" if one["words"] is None else f": {one['words']}"
        yield printable(f"{one['value']:+.2f} for {one['name']}{words}.")


def _obligations(verdict: Mapping[str, Any]) -> Iterator[str]:
    for one in verdict["obligations"]:
        source = f"by {shown(one['policy'])}/{shown(one['rule'])}"
        evidence = f", lifted on {listed(map(shown, one['evidence']))}" if one["evidence"] else ""
        expires = f", ending after {duration(one['expires_s'])}" if one["expires_s"] is not None else ""
        asked = after_of(one.get("after"))
        after = f", once it was so on {asked.days} days within {asked.within_days}" if asked is not None else ""
        fast = "" if one.get("expeditable", True) else ", and by nobody before"
        yield f"{printable(one['kind']).capitalize()} {shown(one['value'])}, {source}{after}{evidence}{expires}{fast}."


def _told(document: Document, verdict: Verdict | None, language: str) -> Iterator[str]:
    reply = document["reply"]
    if reply["reason"] is None:
        yield f"Status {int(reply['status'])}: the request was let through, and the service behind answered it."
        return
    words = reply_to(verdict) if verdict is not None else None
    if words is not None and (words.status, words.reason) == (reply["status"], reply["reason"]):
        title, detail = words.title, words.detail
    else:
        title, detail = WORDS[Reason(reply["reason"])]
    yield f"Status {int(reply['status'])}, {shown(reply['reason'])}: {title}. {detail}"
    yield from _translated(document, language)


def _translated(document: Document, language: str) -> Iterator[str]:
    text = told(document, language)
    if text is not None and language != DEFAULT:
        yield f"In {texts(language).language}: {text.title}. {text.detail}"


def _record(document: Document, bundle: Bundle | None, reader: Reader) -> Iterator[str]:
    """Yield by what the decision can be made again."""
    digest = str(document["bundle"])
    at_hand = "at hand" if bundle is not None else "not at hand"
    yield f"It was made by the bundle {shown(digest if reader is Reader.AUDITOR else digest[:12])}, which is {at_hand}."
    yield f"It took {int(document['took_us'])} microseconds."
