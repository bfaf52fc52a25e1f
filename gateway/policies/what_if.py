"""What would change an answer: the smallest sets of facts that, had they been otherwise, would have opened it.

Found by evaluating, not by reasoning about rules: every set named here was tried. The values tried come from the
conditions of the bundle, where everything that can make a difference is written.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations, product
from typing import Any, Final, NamedTuple

from gateway.core.facts import AnyFact, Facts
from gateway.core.terms import Credential, Outcome, Status, TokenState
from gateway.policies.atoms import Among, Lists, Ordered, Overlaps, Pair, atom_of
from gateway.policies.compile import Bundle
from gateway.policies.evaluate import evaluate
from gateway.policies.expression import Comparison, Known, comparisons
from gateway.policies.schema import FACTS

EVIDENCE: Final = frozenset(
    {"country", "subdivision", "continent", "asn", "network", "documents", "residence", "nationality"}
)
"""Facts about a person and where they are. Never suggested: it would teach evasion, and people review the evidence."""

MOST_FACTS: Final = 3
MOST_TRIALS: Final = 20_000
MOST_VALUES: Final = 24

_FIXED: Final = frozenset({"operation", "account", "token"})
"""What was asked, and by whom, is not otherwise by wishing; signing in is tried as one change of its own."""


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
    """False where the bounds on trials or on the values of one fact cut the search short."""


def changes_that_allow(facts: Facts, bundle: Bundle) -> Changes:
    """Return the sets of at most three changes that turn the answer into `allow`, smallest first."""
    start, signing_in = _signed_in(facts)
    every = _candidates(start, bundle)
    candidates = {name: values[:MOST_VALUES] for name, values in every.items()}
    found: list[tuple[Change, ...]] = []
    trials = 0
    for size in range(MOST_FACTS + 1 - len(signing_in)):
        for names in combinations(candidates, size):
            for values in product(*(candidates[name] for name in names)):
                changed = tuple(Change(name, value) for name, value in zip(names, values, strict=True))
                if any(_covered(smaller, (*signing_in, *changed), start) for smaller in found):
                    continue
                trials += 1
                if trials > MOST_TRIALS:
                    return Changes(tuple(found), complete=False)
                tried = _changed(start, changed)
                if _consistent(tried) and evaluate(tried, bundle).outcome is Outcome.ALLOW:
                    found.append((*signing_in, *changed))
    return Changes(tuple(found), complete=candidates == every)


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


def _changed(facts: Facts, changed: Iterable[Change]) -> Facts:
    """Return the facts with the changes made, and with what a change of credential brings with it."""
    values: dict[str, Any] = {}
    for change in changed:
        if change.fact == "credential":
            api_key = change.value == Credential.API_KEY
            values = {**({"assurance": 1, "auth_age": None} if api_key else {"auth_age": 0}), **values}
        values[change.fact] = change.value
    return facts._replace(**values)


def _covered(smaller: tuple[Change, ...], changed: tuple[Change, ...], start: Facts) -> bool:
    """Return whether `changed` does all that the smaller set does, and perhaps takes more away from a set."""
    wanted = {change.fact: change.value for change in changed}
    return all(
        change.fact in wanted and _goes_as_far(getattr(start, change.fact, None), change.value, wanted[change.fact])
        for change in smaller
    )


def _goes_as_far(current: AnyFact, value: AnyFact, further: AnyFact) -> bool:
    if isinstance(current, frozenset) and isinstance(value, frozenset) and isinstance(further, frozenset):
        return further <= value < current or further == value
    return value == further


def _consistent(facts: Facts) -> bool:
    """Return whether the facts can be those of one request: a session is as old as its proof, an API key has none."""
    if facts.credential == Credential.API_KEY:
        return facts.auth_age is None
    return facts.auth_age is not None


def _candidates(facts: Facts, bundle: Bundle) -> Mapping[str, tuple[AnyFact, ...]]:
    """Return the values to try for each fact that may be suggested, other than the one it has."""
    named = _named(bundle, facts.at)
    found: dict[str, tuple[AnyFact, ...]] = {}
    for name in FACTS:
        if name not in named or name in EVIDENCE | _FIXED:
            continue
        current = getattr(facts, name)
        values = [value for value in _values(name, named[name], current) if value != current]
        if values:
            found[name] = tuple(dict.fromkeys(values))
    return found


def _named(bundle: Bundle, at: int) -> dict[str, list[Any]]:
    """Return, for each fact, the values with which rules in force at `at` compare it."""
    named: dict[str, list[Any]] = {}
    for rule in bundle.rules:
        if not rule.in_force(at):
            continue
        for part in comparisons(rule.when):
            for name, values in _compared(part, bundle.entries):
                named.setdefault(name, []).extend(values)
        if rule.proof is not None:
            named.setdefault("assurance", []).append(rule.proof.assurance)
            if rule.max_age_s is not None:
                named.setdefault("auth_age", []).append(0)
    if {"assurance", "auth_age"} & set(named):
        named.setdefault("credential", [])
    return named


def _compared(part: Comparison | Known, lists: Lists) -> Iterator[tuple[str, Iterable[Any]]]:
    atom, _ = atom_of(part, lists)
    match atom:
        case Among(name, values) | Overlaps(name, values):
            yield name, sorted(values, key=str)
        case Ordered(name, _, number):
            yield name, (number - 1, number, number + 1)
        case Pair(name, _, other):
            yield name, ()
            yield other, ()
        case _:
            yield atom.fact, ()


def _values(name: str, named: list[Any], current: AnyFact) -> list[AnyFact]:
    """Return the values that the conditions can tell apart, the most natural first."""
    fact = FACTS[name]
    if fact.is_set:
        return list(_sets(named or list(fact.domain or ()), current))
    if name == "status":
        return [status for status in Status if status is not Status.NONE]
    if name == "credential":
        return [Credential.SESSION, Credential.API_KEY]
    if name == "auth_age":
        return [*sorted({0, *named}), None]
    if fact.domain is not None:
        return [*fact.domain]
    values = sorted(set(named)) if fact.is_number else list(named)
    return [*values, None] if fact.nullable else values


def _sets(named: list[Any], current: AnyFact) -> Iterator[frozenset[str]]:
    """Return the set without one member or without all that are named, and with one more; a set in doubt made empty."""
    present = current if isinstance(current, frozenset) else frozenset()
    members = dict.fromkeys(named)
    yield from (present - {one} for one in members if one in present)
    yield present - set(members)
    yield from (present | {one} for one in members if one not in present)
