"""Whether an answer would be the same now, in sentences: what changed since, and which change made the difference."""

from collections.abc import Iterator
from typing import Any, Final

from gateway.core.decision import instant_text
from gateway.core.facts import AnyFact, OneOf, Unknown
from gateway.core.masking import COUNTRY_FACTS, Personal
from gateway.core.terms import Outcome
from gateway.policies.compare import RULES, TIME, Comparison, FactChange, RuleChange
from gateway.policies.phrases import NAMES, WHY, listed, named, shown

_MOST_RULES: Final = 12
_NOW: Final = {
    Outcome.ALLOW: "it would be allowed",
    Outcome.CHALLENGE: "a proof would be asked for",
    Outcome.DENY: "it would be refused",
}


def since(comparison: Comparison, seen: frozenset[Personal]) -> Iterator[str]:
    """Yield whether the answer would be the same, and what changed. Countries that are not `seen` are not named."""
    now = comparison.now
    rules = f" by {listed([shown(rule.rule) for rule in now.by])}" if now.by else ""
    reason = "" if now.reason is None else f", for {shown(now.reason)}"
    answer = f"{_NOW[now.outcome]}{rules}{reason}"
    when = instant_text(comparison.at)
    if comparison.same:
        yield f"Yes: at {when} {answer}, as then."
    else:
        yield f"No: at {when} {answer}."
        yield from _causes(comparison)
    changed = list(_changes(comparison, seen))
    yield from changed
    if not changed:
        yield "Nothing that was recorded has changed since."


def _causes(comparison: Comparison) -> Iterator[str]:
    if not comparison.explained:
        yield (
            "Which change made the difference cannot be said: the bundle that decided then is not at hand, or does not "
            "give the recorded verdict."
        )
    for cause in comparison.causes:
        words = listed([_cause(name) for name in cause])
        yield f"What made the difference: {words}{', together' if len(cause) > 1 else ', alone'}."
    if comparison.causes and not comparison.complete:
        yield "Not every combination of changes was tried; others may lead there too."


def _cause(name: str) -> str:
    return {
        RULES: "the rules",
        TIME: "the date, by which a rule or an exception came into force or went out of it",
    }.get(name, f"the {NAMES.get(name, name)}")


def _changes(comparison: Comparison, seen: frozenset[Personal]) -> Iterator[str]:
    then, now = comparison.bundles
    if then != now:
        yield f"The bundle was {shown(then[:12])} and is {shown(now[:12])}."
    mattering = [change for change in comparison.rules if change.matters]
    for change in mattering[:_MOST_RULES]:
        yield _rule(change)
    others = len(comparison.rules) - len(mattering[:_MOST_RULES])
    if others:
        yield f"{others} other rule{'s' if others > 1 else ''} changed too."
    if comparison.editions is not None and comparison.editions[0] != comparison.editions[1]:
        was, is_now = (listed(map(shown, one)) if one else "none" for one in comparison.editions)
        yield f"The databases were {was}, and are {is_now}."
    for fact in comparison.facts:
        yield _fact(fact, seen)


def _rule(change: RuleChange) -> str:
    lists = f", with {listed([shown(name) for name in change.lists])}" if change.lists else ""
    many = "s" if len(change.exceptions) > 1 else ""
    excepted = f", by the exception{many} {listed(map(shown, change.exceptions))}" if change.exceptions else ""
    return f"The rule {shown(change.rule)} of the policy {shown(change.policy)} was {change.how}{lists}{excepted}."


def _fact(change: FactChange, seen: frozenset[Personal]) -> str:
    name = NAMES.get(change.fact, change.fact)
    if change.fact in COUNTRY_FACTS and Personal.COUNTRIES not in seen:
        return f"The {name} changed; from what to what is not shown here."
    many = name.endswith("s") and name != "status"
    was, is_now = _value(change.fact, change.then), _value(change.fact, change.now)
    return f"The {name} {'were' if many else 'was'} {was}, and {'are' if many else 'is'} {is_now}."


def _value(name: str, value: AnyFact) -> str:
    if isinstance(value, Unknown):
        return f"unknown ({WHY[value.why]})"
    if isinstance(value, OneOf):
        options: list[Any] = sorted((one for one in value.values), key=str)
        texts = [named(name, one) for one in options] + [f"one that begins with {shown(one)}" for one in value.prefixes]
        return f"{listed(texts, 'or')} ({WHY[value.why]})" if texts else f"unknown ({WHY[value.why]})"
    return named(name, value)
