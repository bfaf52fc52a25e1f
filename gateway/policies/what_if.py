"""What would change an answer: the smallest sets of facts that, had they been otherwise, would have opened it.

Found by evaluating, not by reasoning about rules: every set named here was tried. A set is smallest where no part of
its facts, whatever their values, would have been enough.
"""

from collections.abc import Iterable, Iterator
from itertools import combinations, product
from typing import Any, Final, NamedTuple

from gateway.core.facts import AnyFact, Facts
from gateway.core.terms import Credential, Effect, Outcome, Status, TokenState
from gateway.core.verdict import RuleRef
from gateway.policies.alternatives import Alternative, alternatives, decides
from gateway.policies.compile import Bundle
from gateway.policies.evaluate import evaluate
from gateway.policies.expression import facts_of
from gateway.policies.rules import Rule
from gateway.policies.schema import FACTS

EVIDENCE: Final = frozenset(
    {"country", "subdivision", "continent", "asn", "network", "documents", "residence", "nationality"}
)
"""Facts about a person and where they are. Never suggested: it would teach evasion, and people review the evidence."""

MEASURED: Final = frozenset({"signals", "risk", "amount_usd", "withdrawn_today_usd"})
"""What is measured. Never suggested: nobody may change it, and "a smaller amount" would teach to split it."""

FIXED: Final = frozenset({"operation", "account", "token"})
"""What was asked, and by whom, is not otherwise by wishing; signing in is tried as one change of its own."""

CHANGEABLE: Final = tuple(name for name in FACTS if name not in EVIDENCE | MEASURED | FIXED)
"""What the customer or the staff can change by the ordinary way."""

_BROUGHT: Final = frozenset({"assurance", "auth_age"})
"""What a proof depends on, and what another credential brings with it."""

MOST_FACTS: Final = 3
MOST_TRIALS: Final = 20_000


class Change(NamedTuple):
    """One fact, and a value that it would have to have."""

    fact: str
    """`sign_in` where nobody was signed in and somebody would have to be."""
    value: AnyFact


class Changes(NamedTuple):
    """What would have opened the operation."""

    sets: tuple[tuple[Change, ...], ...]
    """Each set is enough by itself, and no part of it is. Values that serve alike stand in sets of their own."""
    complete: bool
    """False where the bounds cut the search short: then there may be other sets of as many facts, or smaller ones."""


def changes_that_allow(facts: Facts, bundle: Bundle) -> Changes:
    """Return the smallest sets of at most three changes that turn the answer into `allow`, those of few facts first."""
    start, signing_in = _signed_in(facts)
    candidates, complete = alternatives(start, bundle, CHANGEABLE)
    in_the_way = _in_the_way(start, bundle)
    found: list[tuple[Change, ...]] = []
    enough: list[frozenset[str]] = []
    trials = 0
    for size in range(MOST_FACTS + 1 - len(signing_in)):
        for names in combinations(candidates, size):
            touched = {*names, *(_BROUGHT if "credential" in names else ())}
            if any(smaller <= set(names) for smaller in enough) or any(map(touched.isdisjoint, in_the_way)):
                continue
            serving: list[tuple[Alternative, ...]] = []
            for options in product(*(candidates[name] for name in names)):
                trials += 1
                if trials > MOST_TRIALS:
                    return Changes(tuple(found), complete=False)
                if _allows(start, names, options, bundle):
                    serving.append(options)
            if serving:
                enough.append(frozenset(names))
                found += ((*signing_in, *one) for one in _least(start, names, serving))
    return Changes(tuple(found), complete)


def _in_the_way(facts: Facts, bundle: Bundle) -> list[frozenset[str]]:
    """Return sets of facts, of each of which one has to be otherwise before the operation can be open.

    A rule that excludes goes on doing so while every fact that it asks about stays as it is.
    """
    verdict = evaluate(facts, bundle)
    rules = {rule.ref: rule for rule in bundle.rules}
    found = [_asked_by(rules[RuleRef(one.policy, one.rule)]) for one in verdict.by]
    if verdict.nothing_granted:
        grants = [rule for rule in bundle.rules if rule.effect is Effect.GRANT and decides(rule, facts)]
        found.append(frozenset[str]().union(*map(_asked_by, grants)))
    return found


def _asked_by(rule: Rule) -> frozenset[str]:
    """Return the facts that a rule's condition and its proof depend on."""
    return facts_of(rule.when) | (frozenset() if rule.proof is None else _BROUGHT)


def changed(facts: Facts, changes: Iterable[Change]) -> Facts:
    """Return the facts with the changes made; a session in place of another credential has just been opened."""
    values: dict[str, Any] = {change.fact: change.value for change in changes}
    if "credential" in values:
        values.setdefault("auth_age", 0)
    return facts._replace(**values)


def consistent(facts: Facts) -> bool:
    """Return whether the facts can be those of one request: a session is as old as its proof, an API key proves 1."""
    if facts.credential == Credential.API_KEY:
        return facts.auth_age is None and facts.assurance == 1
    return facts.auth_age is not None


def _allows(start: Facts, names: tuple[str, ...], options: tuple[Alternative, ...], bundle: Bundle) -> bool:
    tried = changed(start, (Change(name, option.values[0]) for name, option in zip(names, options, strict=True)))
    return (not names or consistent(tried)) and evaluate(tried, bundle).outcome is Outcome.ALLOW


def _signed_in(facts: Facts) -> tuple[Facts, tuple[Change, ...]]:
    """Return the facts of a customer with an open account in place of nobody's, and that change; else the facts."""
    if facts.account is not None:
        return facts, ()
    somebody: dict[str, Any] = {
        "credential": Credential.SESSION,
        "token": TokenState.VALID,
        "assurance": 1,
        "auth_age": 0,
        "account": "",
        "status": Status.OPEN,
    }
    return facts._replace(**somebody), (Change("sign_in", str(Status.OPEN)),)


def _least(
    start: Facts, names: tuple[str, ...], serving: list[tuple[Alternative, ...]]
) -> Iterator[tuple[Change, ...]]:
    """Yield the sets of changes that these options come to, without those that change a set more than another does."""
    every = [
        tuple(Change(name, value) for name, value in zip(names, values, strict=True))
        for options in serving
        for values in product(*(option.values for option in options))
    ]
    for one in every:
        if not any(_goes_further(start, one, other) for other in every if other is not one):
            yield one


def _goes_further(start: Facts, one: tuple[Change, ...], other: tuple[Change, ...]) -> bool:
    """Return whether `one` makes all the changes that `other` does, and more of them."""
    return one != other and all(
        mine.value == theirs.value or _touched(start, theirs) < _touched(start, mine)
        for mine, theirs in zip(one, other, strict=True)
    )


def _touched(start: Facts, change: Change) -> frozenset[str]:
    """Return the members by which a set differs; nothing for a plain fact, whose values are only like or unlike."""
    current = getattr(start, change.fact)
    if not isinstance(change.value, frozenset):
        return frozenset()
    return change.value ^ (current if isinstance(current, frozenset) else frozenset())
