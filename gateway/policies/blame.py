"""Facts to which other rules answer wider, and the rules that are to blame for it.

Where new rules allow what old ones refuse, some limit or requirement no longer applies, or some grant newly does. So
for each rule that is not the same in both, and each operation, facts are searched in which that rule is to blame. Where
there are none the search has shown it, so whatever differs is covered by what is found.
"""

from collections.abc import Callable, Iterable, Iterator
from math import inf
from typing import Final, NamedTuple

from gateway.core.facts import Facts
from gateway.core.terms import Effect, Operation, Outcome
from gateway.core.verdict import RuleRef, Verdict
from gateway.policies.compare import lists_of
from gateway.policies.compile import Bundle
from gateway.policies.constraints import Formula
from gateway.policies.demands import Demands, atoms_of, instants
from gateway.policies.domains import domains
from gateway.policies.evaluate import evaluate
from gateway.policies.rules import Rule
from gateway.policies.satisfy import LOOKS, Budget, Exhausted, Ground, seek
from gateway.policies.witness import in_words, plainest

IN_ALL: Final = 100 * LOOKS
"""Requirements that all searches of one comparison look at together: half a minute."""

_RANK: Final = {Outcome.DENY: 0, Outcome.CHALLENGE: 1, Outcome.ALLOW: 2}


class Blame(NamedTuple):
    """A rule, and facts to which the answer is wider because of it."""

    rule: RuleRef
    facts: Facts
    operations: tuple[Operation, ...]
    """All operations of which the same facts show the same."""


def widens(before: Verdict, after: Verdict) -> bool:
    """Return whether an answer is wider than another: allowed more, or a weaker or an older proof is enough."""
    if before.outcome is not after.outcome:
        return _RANK[after.outcome] > _RANK[before.outcome]
    if before.challenge is None or after.challenge is None:
        return False
    weaker = after.challenge.proof.assurance < before.challenge.proof.assurance
    return weaker or _age(after.challenge.max_age_s) > _age(before.challenge.max_age_s)


class Search:
    """The search for what one bundle allows and another does not."""

    def __init__(self, old: Bundle, new: Bundle, since: int | None) -> None:
        self.complete = True
        """Whether no search was cut short so far."""
        self._bundles = (old, new)
        told_apart = domains(atom for bundle in self._bundles for atom in atoms_of(bundle))
        self.ground: Final = Ground(Operation.VIEW, told_apart, instants(self._bundles, since))
        said = [{says(rule, bundle) for rule in bundle.rules} for bundle in self._bundles]
        self._gone = {rule.ref: rule for rule in old.rules if says(rule, old) not in said[1]}
        self._come = {rule.ref: rule for rule in new.rules if says(rule, new) not in said[0]}
        self._left = IN_ALL

    def found(self) -> Iterator[Blame]:
        """Yield facts for each rule to blame, each kind once, with all operations of which they show the same."""
        found: dict[RuleRef, list[Blame]] = {}
        for operation in Operation:
            ground = self.ground._replace(operation=operation)
            before, after = (Demands(bundle, ground) for bundle in self._bundles)
            for question in self._questions(before, after):
                ref = question.rule.ref
                shown = found.setdefault(ref, [])
                place = next((n for n, one in enumerate(shown) if self._alike(one, operation)), None)
                if place is not None:
                    many = dict.fromkeys((*shown[place].operations, operation))
                    shown[place] = shown[place]._replace(operations=tuple(many))
                elif (facts := self._facts(question, before, after)) is not None:
                    plain = plainest(facts, self._showing(ref), self.ground.domains)
                    shown.append(Blame(ref, plain, (operation,)))
        for ref in sorted(found):
            yield from found[ref]

    def how(self, ref: RuleRef) -> str:
        """Return what became of a rule to blame."""
        if ref in self._gone and ref in self._come:
            return "changed"
        return "removed" if ref in self._gone else "added"

    def lists(self, ref: RuleRef) -> tuple[str, ...]:
        """Return, in words, which named lists of a rule to blame have other entries."""
        old, new = self._bundles
        both = [rules[ref] for rules in (self._gone, self._come) if ref in rules]
        names = sorted(frozenset[str]().union(*map(lists_of, both))) if len(both) == 2 else []
        return tuple(_moved(name, old.entries[name], new.entries[name]) for name in names if _differs(name, old, new))

    def _questions(self, before: Demands, after: Demands) -> "Iterator[_Question]":
        """Yield each rule that can be to blame, and what facts must be for it."""
        granted = after.granted()
        for rule in before.limits:
            if rule.ref in self._gone:
                yield _Question(rule, [before.applies(rule, possibly=True), granted])
        for rule in after.grants:
            if rule.ref in self._come:
                yield _Question(rule, [after.applies(rule)])
        for rule in before.requirements:
            if rule.ref in self._gone:
                required = [*before.unmet(rule), before.granted(), granted]
                yield _Question(
                    rule, required, frozenset(one.ref for one in after.requirements if not _weaker(one, rule))
                )
                if rule.max_age_s is not None:
                    yield _Question(
                        rule, required, frozenset(one.ref for one in after.requirements if not _older(one, rule))
                    )

    def _facts(self, question: "_Question", before: Demands, after: Demands) -> Facts | None:
        """Return facts for which the rule in question is to blame, it alone where there are such; None for none."""
        found = self._sought(question, before, after)
        others = [ref for ref in self.blamed(found) if ref != question.rule.ref] if found is not None else ()
        if not others:
            return found
        absent = [*before.without(others).values(), *after.without(others).values()]
        return self._sought(question._replace(required=[*question.required, *absent]), before, after) or found

    def _sought(self, question: "_Question", before: Demands, after: Demands) -> Facts | None:
        """Return facts of which everything is so that is required, or None where there are none."""
        old, new = self._bundles

        def obstacles(facts: Facts) -> dict[tuple[str, RuleRef], Formula]:
            now = [ref for ref in excluding(evaluate(facts, new)) if _in_the_way(after.rules[ref], question)]
            then: Iterable[RuleRef] = ()
            if question.rule.effect is Effect.GRANT:
                then = granting(facts, old)
            elif question.rule.effect is Effect.REQUIRE:
                then = [ref for ref in excluding(evaluate(facts, old)) if before.rules[ref].effect is Effect.LIMIT]
            return {**_told("now", after.without(now)), **_told("then", before.without(then))}

        budget = Budget(min(LOOKS, self._left))
        try:
            found = seek(question.required, obstacles, self.ground._replace(operation=before.operation), budget)
        except Exhausted:
            self.complete = False
            return None
        finally:
            self._left -= LOOKS - budget.looks
        return found if isinstance(found, Facts) else None

    def _showing(self, ref: RuleRef) -> Callable[[Facts], bool]:
        return lambda facts: ref in self.blamed(facts)

    def _alike(self, one: Blame, operation: Operation) -> bool:
        """Return whether facts show the same of another operation."""
        facts = one.facts._replace(operation=operation)
        if one.rule not in self.blamed(facts):
            return False
        return all(_answer(evaluate(one.facts, bundle)) == _answer(evaluate(facts, bundle)) for bundle in self._bundles)

    def blamed(self, facts: Facts) -> tuple[RuleRef, ...]:
        """Return the rules, none the same in both, that make the answer to these facts wider; none where it is not."""
        old, new = self._bundles
        before, after = evaluate(facts, old), evaluate(facts, new)
        if not widens(before, after):
            return ()
        gone = [self._gone[ref] for ref in excluding(before) if ref in self._gone]
        if before.outcome is Outcome.CHALLENGE:
            return tuple(rule.ref for rule in gone if _relieved(rule, after))
        blamed = [rule.ref for rule in gone if rule.effect is Effect.LIMIT]
        if before.nothing_granted:
            blamed += [ref for ref in granting(facts, new) if ref in self._come]
        return tuple(blamed)


class _Question(NamedTuple):
    """Whether some facts have a rule to blame for the wider answer."""

    rule: Rule
    required: list[Formula]
    stricter: frozenset[RuleRef] = frozenset()
    """Requirements of the new rules that ask for no less."""


def excluding(verdict: Verdict) -> tuple[RuleRef, ...]:
    """Return the limits and requirements that exclude the operation."""
    return tuple(RuleRef(one.policy, one.rule) for one in verdict.by)


def granting(facts: Facts, bundle: Bundle) -> tuple[RuleRef, ...]:
    """Return the grants that open the operation."""
    _, certain, _ = bundle.matching(facts)
    found = (one.rule for one in bundle.matched(certain & bundle.rule_bits))
    return tuple(rule.ref for rule in found if rule.effect is Effect.GRANT and facts.operation in rule.operations)


def says(rule: Rule, bundle: Bundle) -> tuple[object, ...]:
    """Return what a rule does: rules of which it is equal give the same answers, whatever they are called."""
    exceptions = (
        () if rule.absolute else tuple((one.operations, one.when, one.start, one.end) for one in rule.exceptions)
    )
    lists = tuple((name, bundle.entries[name]) for name in sorted(lists_of(rule)))
    what = (rule.effect, rule.operations, rule.when, rule.proof, rule.max_age_s, rule.start, rule.end)
    return (*what, exceptions, lists)


def _differs(name: str, old: Bundle, new: Bundle) -> bool:
    """Return whether a list that both bundles have is not the same in both."""
    return name in old.entries and name in new.entries and old.entries[name] != new.entries[name]


def _moved(name: str, old: frozenset[str | int], new: frozenset[str | int]) -> str:
    lost, gained = (frozenset(map(str, one)) for one in (old - new, new - old))
    moved = [f"without {in_words(lost)}"] if lost else []
    return f"`{name}` is {' and '.join([*moved, *([f'with {in_words(gained)}'] if gained else [])])}"


def _relieved(rule: Rule, after: Verdict) -> bool:
    """Return whether less is asked than an unmet requirement asks."""
    if after.challenge is None:
        return True
    assert rule.proof is not None
    weaker = after.challenge.proof.assurance < rule.proof.assurance
    return weaker or _age(after.challenge.max_age_s) > _age(rule.max_age_s)


def _in_the_way(rule: Rule, question: _Question) -> bool:
    return rule.effect is Effect.LIMIT or rule.ref in question.stricter


def _told(side: str, some: dict[RuleRef, Formula]) -> dict[tuple[str, RuleRef], Formula]:
    return {(side, ref): formula for ref, formula in some.items()}


def _weaker(one: Rule, other: Rule) -> bool:
    """Return whether a requirement asks for a weaker proof than another."""
    assert one.proof is not None
    assert other.proof is not None
    return one.proof.assurance < other.proof.assurance


def _older(one: Rule, other: Rule) -> bool:
    """Return whether a requirement is content with an older proof than another."""
    return _age(one.max_age_s) > _age(other.max_age_s)


def _age(seconds: int | None) -> float:
    return inf if seconds is None else seconds


def _answer(verdict: Verdict) -> tuple[object, ...]:
    return verdict.outcome, verdict.challenge
