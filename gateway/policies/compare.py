"""Would the answer be the same now, and if not, what changed since: the rules, the time, or which facts.

Found by evaluating, not by guessing: every set of changes named as the cause was made, alone, to what was then, and
gave the answer of now.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Final, Literal, NamedTuple

from gateway.core.decision import Document, parse_instant, verdict_document
from gateway.core.errors import ReplayError
from gateway.core.facts import ACCOUNT_FACTS, CONNECTION_FACTS, AnyFact, Facts, from_json
from gateway.core.terms import EVERYTHING, Effect, Outcome
from gateway.core.verdict import Verdict
from gateway.policies.alternatives import decides
from gateway.policies.compile import Bundle
from gateway.policies.evaluate import evaluate
from gateway.policies.expression import ALWAYS, ListName, comparisons
from gateway.policies.expression import Comparison as Compared
from gateway.policies.findings import Place
from gateway.policies.rules import Policy, Rule

RULES: Final = "rules"
TIME: Final = "time"
"""Names of causes that are no facts: other rules or lists are in use, or dates of a rule have passed."""

MOST_AT_ONCE: Final = 3
MOST_TRIALS: Final = 2_000


class FactChange(NamedTuple):
    """A fact that is not what it was."""

    fact: str
    then: AnyFact
    now: AnyFact


class RuleChange(NamedTuple):
    """A rule that is not what it was, or whose named lists are not."""

    policy: str
    rule: str
    how: Literal["added", "removed", "changed"]
    lists: tuple[str, ...]
    """The named lists it mentions whose entries changed."""
    matters: bool
    """True where, as it was and as it is, it says different things about these facts and this operation."""
    exceptions: tuple[str, ...] = ()
    """The names of the exceptions to it that came, went or changed."""


class Comparison(NamedTuple):
    """An answer beside that of now."""

    same: bool
    """Whether outcome, reason, determining rules and the proof asked for are what they were."""
    now: Verdict
    at: int
    """The instant of now, microseconds since the epoch."""
    bundles: tuple[str, str]
    """The digests of the bundles then and now."""
    rules: tuple[RuleChange, ...]
    editions: tuple[tuple[str, ...], tuple[str, ...]] | None
    """The database editions then and now; None where nobody said which are in use now."""
    facts: tuple[FactChange, ...]
    causes: tuple[tuple[str, ...], ...]
    """Smallest sets of changes that by themselves lead from the answer of then to that of now: RULES, TIME, facts."""
    explained: bool
    """False where the bundle of then is not at hand, or does not give the recorded verdict: then no cause is named."""
    complete: bool
    """False where more changes are needed at once than are tried: `causes` has one set, and there may be others."""


def now(
    document: Document,
    facts_now: Facts,
    bundle_then: Bundle | None,
    bundle_now: Bundle,
    editions_now: Sequence[str] | None = None,
) -> Comparison:
    """Return the recorded answer beside the one that `facts_now` have under `bundle_now`.

    `bundle_then` is the one that the decision was made by; None where it is not at hand. Raise ReplayError where the
    document is no decision, or has no verdict to compare.
    """
    try:
        return _now(document, facts_now, bundle_then, bundle_now, editions_now)
    except (KeyError, ValueError, TypeError, AttributeError) as fault:
        raise ReplayError(f"this is not a whole decision: {type(fault).__name__} at {fault}") from fault


def refreshed(
    then: Facts, at: int, connection: Mapping[str, AnyFact] | None, account: Mapping[str, AnyFact] | None
) -> Facts:
    """Return the facts of the same request at `at`: what is known now of its address and its account, else as then.

    The credential stays as it was, with the age that it had: whether the customer is still signed in is not asked.
    """
    known: dict[str, Any] = {name: value for name, value in (connection or {}).items() if name in CONNECTION_FACTS}
    known |= {name: value for name, value in (account or {}).items() if name in ACCOUNT_FACTS}
    return then._replace(at=at, **known)


def facts_then(document: Document) -> Facts:
    """Return the facts of a recorded decision. Raise KeyError, TypeError or ValueError where it has none."""
    return from_json(parse_instant(document["at"]), document["facts"], document["unknown"])


def _now(
    document: Document,
    facts: Facts,
    bundle_then: Bundle | None,
    bundle_now: Bundle,
    editions_now: Sequence[str] | None,
) -> Comparison:
    recorded = document["verdict"]
    if recorded is None:
        msg = "the request was refused unread: there is no verdict to compare"
        raise ReplayError(msg)
    then, verdict = facts_then(document), evaluate(facts, bundle_now)
    changes = tuple(
        FactChange(name, was, now_is)
        for name, was, now_is in zip(then._fields[1:], then[1:], facts[1:], strict=True)
        if was != now_is
    )
    comparison = Comparison(
        same=_answer(recorded) == _answer(verdict_document(verdict)),
        now=verdict,
        at=facts.at,
        bundles=(document["bundle"], bundle_now.digest),
        rules=() if bundle_then is None else tuple(_rules(then, facts, bundle_then, bundle_now)),
        editions=None if editions_now is None else (tuple(document["editions"]), tuple(editions_now)),
        facts=changes,
        causes=(),
        explained=False,
        complete=False,
    )
    if (
        bundle_then is None
        or bundle_then.digest != document["bundle"]
        or verdict_document(evaluate(then, bundle_then)) != recorded
    ):
        return comparison
    causes, complete = ((), True) if comparison.same else _causes(then, facts, (bundle_then, bundle_now), changes)
    return comparison._replace(causes=causes, explained=True, complete=complete)


def _answer(verdict: Mapping[str, Any]) -> tuple[Any, ...]:
    by = [(rule["policy"], rule["rule"]) for rule in verdict["by"]]
    return verdict["outcome"], verdict["reason"], by, verdict["challenge"]


def _causes(
    then: Facts, facts: Facts, bundles: tuple[Bundle, Bundle], changes: Iterable[FactChange]
) -> tuple[tuple[tuple[str, ...], ...], bool]:
    """Return the smallest sets of changes that lead to the answer of now, and whether those are all of them."""
    names = [change.fact for change in changes]
    if bundles[0] is not bundles[1]:
        names.insert(0, RULES)
    if then.at != facts.at:
        names.insert(0, TIME)

    def verdict_of(chosen: Iterable[str]) -> Verdict:
        taken = set(chosen)
        values: dict[str, Any] = {name: getattr(facts, name) for name in taken - {RULES, TIME}}
        mixed = then._replace(at=facts.at if TIME in taken else then.at, **values)
        return evaluate(mixed, bundles[RULES in taken])

    leads = _leads(verdict_of(()), verdict_of(names), verdict_of)
    found: list[tuple[str, ...]] = []
    trials = 0
    for size in range(1, min(MOST_AT_ONCE, len(names)) + 1):
        for chosen in combinations(names, size):
            if any(set(smaller) <= set(chosen) for smaller in found):
                continue
            trials += 1
            if trials > MOST_TRIALS:
                return tuple(found) or (_reduced(names, leads),), False
            if leads(chosen):
                found.append(chosen)
    if len(names) <= MOST_AT_ONCE:
        return tuple(found), True
    return (tuple(found), True) if found else ((_reduced(names, leads),), False)


def _leads(was: Verdict, is_now: Verdict, verdict_of: Callable[[Iterable[str]], Verdict]) -> Callable[..., bool]:
    """Return whether changes lead to the answer of now: to its outcome where that is another, else to all of it."""
    if was.outcome is not is_now.outcome:
        return lambda chosen: verdict_of(chosen).outcome is is_now.outcome
    wanted = _answer(verdict_document(is_now))
    return lambda chosen: _answer(verdict_document(verdict_of(chosen))) == wanted


def _reduced(names: Sequence[str], leads: Callable[..., bool]) -> tuple[str, ...]:
    """Return a set from which none can be left out."""
    kept = list(names)
    for name in names:
        without = [one for one in kept if one != name]
        if leads(without):
            kept = without
    return tuple(kept)


def _rules(then: Facts, facts: Facts, bundle_then: Bundle, bundle_now: Bundle) -> Iterator[RuleChange]:
    """Yield the rules that are not what they were, in order."""
    was, is_now = ({rule.ref: rule for rule in bundle.rules} for bundle in (bundle_then, bundle_now))
    lists = {
        name
        for name in {*bundle_then.entries, *bundle_now.entries}
        if bundle_then.entries.get(name) != bundle_now.entries.get(name)
    }
    for ref in sorted({*was, *is_now}):
        before, after = was.get(ref), is_now.get(ref)
        mentioned = tuple(sorted(lists & (lists_of(before) | lists_of(after))))
        if before == after and not mentioned:
            continue
        matters = any(_says(before, some, bundle_then) != _says(after, some, bundle_now) for some in (then, facts))
        how: Literal["added", "removed", "changed"] = (
            "added" if before is None else "removed" if after is None else "changed"
        )
        yield RuleChange(ref.policy, ref.rule, how, mentioned, matters, _exceptions(before, after))


def _exceptions(before: Rule | None, after: Rule | None) -> tuple[str, ...]:
    was, is_now = (frozenset(() if rule is None else rule.exceptions) for rule in (before, after))
    return tuple(sorted({one.name for one in was ^ is_now}))


def lists_of(rule: Rule | None) -> frozenset[str]:
    """Return the named lists that a rule mentions, as conditions write them."""
    if rule is None:
        return frozenset()
    parts = [part for part in comparisons(rule.when) if isinstance(part, Compared)]
    return frozenset(one.name for part in parts for one in (part.left, part.right) if isinstance(one, ListName))


def _says(rule: Rule | None, facts: Facts, bundle: Bundle) -> object:
    """Return what the rule, alone, makes of these facts: nothing, or what it opens, excludes or asks for."""
    if rule is None or not decides(rule, facts):
        return None
    rules = [rule]
    if rule.effect is not Effect.GRANT:
        rules.append(Rule("", "everything", Effect.GRANT, EVERYTHING, ALWAYS, "True"))
    policy = Policy(rule.policy, rule.policy, "", None, tuple(rules), (), Place("", 1, 1))
    verdict = evaluate(facts, Bundle([policy], bundle.lists, {}, ""))
    if rule.effect is Effect.GRANT:
        return verdict.outcome if verdict.outcome is Outcome.ALLOW else None
    return (verdict.outcome, verdict.reason, verdict.challenge) if verdict.by else None
