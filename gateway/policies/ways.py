"""What would change an answer, in sentences: only what the customer or the staff can change in the ordinary way."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from gateway.core.facts import Facts, Unknown
from gateway.core.terms import Outcome, WhyUnknown
from gateway.core.verdict import RuleRef, Verdict
from gateway.policies.compile import Bundle
from gateway.policies.expression import facts_of
from gateway.policies.phrases import change, listed, shown
from gateway.policies.what_if import EVIDENCE, MEASURED, MOST_FACTS, Change, Changes, changes_that_allow

_MOST_SETS: Final = 12
_NUMBERS: Final = {2: "two", 3: "three", 4: "four"}


def ways(
    recorded: Mapping[str, Any], reply: Mapping[str, Any], facts: Facts, bundle: Bundle | None, verdict: Verdict | None
) -> Iterator[str]:
    """Yield what would have opened the operation. `verdict` is None where the bundle does not give the recorded one."""
    if recorded["outcome"] == Outcome.ALLOW:
        if reply["reason"] is None:
            yield "Nothing needs to: the operation was allowed."
        else:
            yield "The rules allowed it, and it could not be recorded. The customer need do nothing but try again."
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
    evidence, measured = _resting_on(EVIDENCE, verdict, bundle), _resting_on(MEASURED, verdict, bundle)
    if evidence:
        yield (
            "What follows from where the request came from, or from the customer's documents or residence "
            f"({listed(evidence)}), is not listed here: it rests on evidence, and people review evidence."
        )
    if measured:
        yield f"What follows from amounts or from anything measured ({listed(measured)}) is not listed here either way."
    if not (changes.sets or evidence or measured):
        yield (
            "Nothing that the customer or the staff can change would have opened the operation, "
            f"not even {_NUMBERS[MOST_FACTS]} such things at once."
        )


def _resting_on(names: frozenset[str], verdict: Verdict, bundle: Bundle) -> list[str]:
    """Return the determining rules that ask about any of these facts."""
    conditions = {rule.ref: rule.when for rule in bundle.rules}
    return [shown(rule.rule) for rule in verdict.by if facts_of(conditions[RuleRef(rule.policy, rule.rule)]) & names]


def _sets(changes: Changes, facts: Facts) -> Iterator[str]:
    """Yield a sentence for each set of facts, its like values together."""
    groups = list(_grouped(changes.sets))
    for group in groups[:_MOST_SETS]:
        parts = [change(one, others, facts) for one, others in group]
        yield f"It would have been allowed if {', and '.join(parts)}."
    if len(groups) > _MOST_SETS:
        yield f"There are {len(groups) - _MOST_SETS} further ways."
    if not changes.complete:
        yield "The search was cut short; there may be other ways."


def _grouped(sets: Iterable[tuple[Change, ...]]) -> Iterator[list[tuple[Change, list[Any]]]]:
    """Yield the sets; those that differ in the value of one plain fact only are one, with its other values."""
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
