"""What somebody should look at in policies that load: dates that have passed, lists that are stale, names nobody gives.

What needs an exact analysis of conditions stands elsewhere; here is what can be read off.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from gateway.core.signals import Name as Signal
from gateway.policies.expression import Comparison, FactName, ListName, Literal, Literals, Operand, comparisons
from gateway.policies.findings import Finding, Place, Severity, did_you_mean, quoted
from gateway.policies.rules import NamedList, Policy, Rule
from gateway.policies.schema import FACTS, Kind
from gateway.policies.times import instant, written

TO_FILL_IN: Final = "FILL IN"
"""How a text begins that stands for one that nobody has written yet."""

_DAY: Final = 86_400_000_000
_A_YEAR: Final = 365 * _DAY


def notices(policies: Sequence[Policy], lists: Mapping[str, NamedList], at: int) -> list[Finding]:
    """Return warnings and notes about dates, lists, names and texts at an instant, microseconds since the epoch."""
    given = _flags_given(policies)
    found: list[Finding] = []
    for policy in policies:
        found += _dates(policy, at)
        found += _texts(policy)
        found += _tests(policy)
        for rule in policy.rules:
            found += _names(rule, given)
    used = {name for policy in policies for rule in policy.rules for name in _lists_named(rule)}
    for key, one in lists.items():
        found += _list(one, at)
        if key not in used:
            message = f"no condition names the list `{one.name}`: leave it out, or write `… in {key}` where it is meant"
            found.append(Finding(one.place, message, "list-unused", Severity.WARNING))
    return sorted(found)


def _dates(policy: Policy, at: int) -> Iterator[Finding]:
    passed = [rule for rule in policy.rules if rule.end is not None and rule.end <= at]
    if passed and len(passed) == len(policy.rules):
        last = max(rule.end for rule in passed if rule.end is not None)
        message = f"no rule of `{policy.name}` is in force since {written(last)}: is the policy still wanted?"
        yield Finding(policy.place, message, "policy-passed", Severity.WARNING)
        return
    for rule in passed:
        assert rule.end is not None
        message = f"rule `{rule.id}` is out of force for good since {written(rule.end)}: it stands for the record alone"
        yield Finding(rule.place, message, "dates-passed", Severity.NOTE)


def _texts(policy: Policy) -> Iterator[Finding]:
    texts: list[tuple[Place, str, tuple[str | None, ...]]]
    texts = [(policy.place, "the policy", (policy.title, policy.owner, policy.description))]
    texts += [
        (rule.place, f"rule `{rule.id}`", (rule.basis, rule.message, rule.justification)) for rule in policy.rules
    ]
    for place, whose, said in texts:
        for text in said:
            if text is not None and text.startswith(TO_FILL_IN):
                message = f"{whose} still says {quoted(text)}: write what is meant in its place"
                yield Finding(place, message, "to-fill-in", Severity.WARNING)


def _tests(policy: Policy) -> Iterator[Finding]:
    seen: set[str] = set()
    for test in policy.tests:
        if test.name in seen:
            message = f"a second test says {quoted(test.name)}: which of the two fails would not be seen"
            yield Finding(test.place, message, "duplicate-test", Severity.WARNING)
        seen.add(test.name)


def _names(rule: Rule, given: frozenset[str]) -> Iterator[Finding]:
    """Yield signals that nothing measures, and flags that differ by a slip from one that a rule sets."""
    measured = [str(signal) for signal in Signal]
    for part in comparisons(rule.when):
        if not isinstance(part, Comparison):
            continue
        for value in _values((part.left, part.right)):
            if _asks(part, Kind.SIGNAL) and value not in measured:
                hint = did_you_mean(value, measured) or f": it is one of {', '.join(f'`{one}`' for one in measured)}"
                message = f"in rule `{rule.id}`: nothing measures a signal {quoted(value)}{hint}"
                yield Finding(part.place, message, "signal-unmeasured", Severity.WARNING)
            near = did_you_mean(value, given)
            if _asks(part, Kind.FLAG) and value not in given and near.startswith(": did you mean"):
                message = f"in rule `{rule.id}`: no rule sets a flag {quoted(value)}{near}"
                yield Finding(part.place, message, "flag-unset", Severity.WARNING)


def _list(one: NamedList, at: int) -> Iterator[Finding]:
    since = instant(one.date)
    compared = f"the list `{one.name}` was last compared with its source on {written(since)}"
    if since > at + _DAY:  # a day ahead may be today, east of Greenwich
        message = f"the list `{one.name}` is dated {written(since)}, which is yet to come"
        yield Finding(one.place, message, "list-date-ahead", Severity.WARNING)
    elif one.stale_after_s is not None and at - since > one.stale_after_s * 1_000_000:
        message = f"{compared}, and says that it is stale after {one.stale_after_s // 86_400} days, so compare it again"
        yield Finding(one.place, message, "list-stale", Severity.WARNING)
    elif one.stale_after_s is None and at - since > _A_YEAR:
        message = f"{compared}, over a year ago: compare it again, or say in `stale_after` how long it holds"
        yield Finding(one.place, message, "list-stale", Severity.NOTE)


def _flags_given(policies: Iterable[Policy]) -> frozenset[str]:
    rules = (rule for policy in policies for rule in policy.rules)
    return frozenset(one.value for rule in rules for one in (*rule.on_match, *rule.on_refusal) if one.kind == "flag")


def _lists_named(rule: Rule) -> Iterator[str]:
    for part in comparisons(rule.when):
        if isinstance(part, Comparison):
            yield from (one.name for one in (part.left, part.right) if isinstance(one, ListName))


def _asks(part: Comparison, kind: Kind) -> bool:
    return any(FACTS[one.name].kind is kind for one in (part.left, part.right) if isinstance(one, FactName))


def _values(operands: Iterable[Operand]) -> Iterator[str]:
    for operand in operands:
        match operand:
            case Literal(str(value)):
                yield value
            case Literals(values):
                yield from (value for value in values if isinstance(value, str))
            case _:
                pass
