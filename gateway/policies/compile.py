"""Bundle: all policies compiled into bit sets, and what others may ask of them."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from gateway.core.facts import ACCOUNT_FACTS, CONNECTION_FACTS, CREDENTIAL_FACTS, Facts
from gateway.core.terms import Proof
from gateway.core.verdict import Verdict
from gateway.policies.atoms import Among, Lists, Ordered, Pair, atom_of, facts_in
from gateway.policies.expression import Operator, comparisons, facts_of
from gateway.policies.masks import Column, Group, MeasuredColumn, fact_bits, is_measured
from gateway.policies.normal import Conjunct, Literal, conjuncts
from gateway.policies.rules import NamedList, Policy, PolicyException, Rule
from gateway.policies.truth import Truth, truth_of

_TOGETHER: Final = (CONNECTION_FACTS, tuple(name for name in (*CREDENTIAL_FACTS, *ACCOUNT_FACTS) if name != "account"))
"""Facts that repeat together: an address brings the first, a customer the second. The name of the account stands
alone: it would keep customers apart who differ in nothing else."""


class CompiledException(NamedTuple):
    """An exception to a rule, and the bit that speaks of it."""

    exception: PolicyException
    bit: int


class CompiledRule(NamedTuple):
    """A rule, and the bits that speak of it."""

    rule: Rule
    bits: int
    """Its conjuncts: it matches where one of them is satisfied."""
    satisfied: int
    """The one bit that says whether what it requires was proved; 0 for other effects."""
    facts: int
    """The facts that its condition names."""
    proof_facts: int
    """The facts that its proof depends on."""
    exceptions: "tuple[CompiledException, ...]"
    """What lifts it; empty where it is absolute."""


class Bundle:
    """All compiled policies, identified by a digest."""

    def __init__(
        self, policies: Sequence[Policy], lists: Mapping[str, NamedList], sources: Mapping[str, str], digest: str
    ) -> None:
        self.policies: Final = tuple(sorted(policies, key=lambda policy: policy.name))
        self.rules: Final = tuple(rule for policy in self.policies for rule in policy.rules)
        self.exceptions: Final = tuple(
            sorted({one for rule in self.rules for one in rule.exceptions}, key=lambda one: one.name)
        )
        self.lists: Final = dict(lists)
        self.sources: Final = dict(sources)
        self.digest: Final = digest
        self.entries: Final[Lists] = {name: one.entries for name, one in self.lists.items()}
        self.facts_named: Final = frozenset[str]().union(
            *(facts_of(rule.when) for rule in self.rules),
            *(_proof_facts(rule) for rule in self.rules),
            *(facts_of(one.when) for one in self.exceptions),
        )
        self.verdicts: Final[dict[Any, Verdict]] = {}
        """Verdicts remembered, by all that they depend on."""
        self._ages = _ages(self.rules, self.entries)
        self._compile()

    def next_change(self, at: int) -> int | None:
        """Return the first instant after `at` at which a rule or an exception comes into force or goes out of it."""
        position = bisect_right(self.bounds, at)
        return self.bounds[position] if position < len(self.bounds) else None

    def next_auth_age(self, age: int | None) -> int | None:
        """Return the least age above `age`, in seconds, at which some comparison or requirement may change."""
        if age is None:
            return None
        position = bisect_right(self._ages, age)
        return self._ages[position] if position < len(self._ages) else None

    def matching(self, facts: Facts) -> tuple[int, int, int]:
        """Return the conjuncts possibly and certainly satisfied, and the facts in doubt for good.

        The last is -1 where no outage is involved: then nothing can be caused by one.
        """
        possible = certain = self._in_force[bisect_right(self.bounds, facts[0])]
        doubtful = lost = 0
        for key_of, remembered, group in self._groups:
            key = key_of(facts)
            masks = remembered.get(key) or group.learn(key, facts, self._every)
            possible &= masks[0]
            certain &= masks[1]
            doubtful |= masks[2]
            lost |= masks[3]
        for index, measured in self._measured:
            masks = measured(facts[index])
            possible &= masks[0]
            certain &= masks[1]
            doubtful |= masks[2]
            lost |= masks[3]
        for bit, condition in self._whole:
            truth = condition(facts)
            possible &= ~bit if truth == 0 else -1
            certain &= ~bit if truth < 2 else -1
        return possible, certain, doubtful if lost else -1

    def matched(self, mask: int) -> Iterator[CompiledRule]:
        """Return the rules that have a bit in `mask`."""
        seen = -1
        while mask:
            low = mask & -mask
            mask ^= low
            number = self._owner[low.bit_length() - 1]
            if number > seen:  # the bits of a rule stand side by side
                seen = number
                yield self._compiled[number]

    def _compile(self) -> None:
        """Number the conjuncts, and hand each literal to the fact that it is about."""
        self._whole: list[tuple[int, Truth]] = []
        """Conditions that have too many conjuncts, each with its bit: they are asked as a whole."""
        self._owner: list[int] = []
        numbered: list[tuple[int, Conjunct]] = []
        own: list[int] = []
        for number, rule in enumerate(self.rules):
            forms = conjuncts(rule.when, self.entries)
            first = len(self._owner)
            if forms is None:
                self._whole.append((1 << first, truth_of(rule.when, self.entries)))
                forms = frozenset({frozenset()})
            numbered += ((1 << (first + position), form) for position, form in enumerate(forms))
            self._owner += [number] * len(forms)
            own.append((1 << len(self._owner)) - (1 << first))
        rules_end = len(self._owner)
        self.rule_bits = (1 << rules_end) - 1
        proofs = sorted({proof for rule in self.rules if (proof := _proof(rule)) is not None}, key=str)
        proof_bit = {proof: 1 << (rules_end + position) for position, proof in enumerate(proofs)}
        numbered += ((bit, _proof_conjunct(proof)) for proof, bit in proof_bit.items())
        proofs_end = rules_end + len(proofs)
        self._excepting = [
            CompiledException(one, 1 << (proofs_end + position)) for position, one in enumerate(self.exceptions)
        ]
        numbered += ((each.bit, _whom(each.exception, self.entries)) for each in self._excepting)
        self._every = (1 << (proofs_end + len(self.exceptions))) - 1
        excepting = {each.exception: each for each in self._excepting}
        self._compiled = tuple(
            CompiledRule(
                rule,
                bits,
                proof_bit[proof] if (proof := _proof(rule)) is not None else 0,
                fact_bits(facts_of(rule.when)),
                fact_bits(_proof_facts(rule)),
                () if rule.absolute else tuple(excepting[one] for one in rule.exceptions),
            )
            for rule, bits in zip(self.rules, own, strict=True)
        )
        self._look_up(_by_literal(numbered))
        self._time()

    def _look_up(self, literals: dict[Literal, int]) -> None:
        """Build what is looked up: groups of facts that repeat together, measured facts, pairs of facts."""
        columns: dict[str, Column] = {}
        for fact in sorted(self.facts_named):
            columns[fact] = (MeasuredColumn if is_measured(fact) else Column)(fact, self._every)
        pairs: dict[tuple[str, ...], list[tuple[Pair, bool, int]]] = {}
        for (atom, denied), bits in literals.items():
            if isinstance(atom, Pair):
                pairs.setdefault(facts_in(atom), []).append((atom, denied, self._every & ~bits))
            else:
                columns[atom.fact].add(atom, denied, bits)
        measured = {name: column for name, column in columns.items() if isinstance(column, MeasuredColumn)}
        for column in measured.values():
            column.settle()
        self._measured = [(column.index, column.measured) for column in measured.values()]
        plain = {name: column for name, column in columns.items() if name not in measured}
        rest = tuple(
            name for name in plain if not any(name in together for together in _TOGETHER) and name != "account"
        )
        groups: list[Group] = []
        for together in (*_TOGETHER, rest, ("account",)):
            present = [plain[name] for name in together if name in plain]
            within = [
                pair for facts, some in pairs.items() if set(facts) <= set(together) - set(measured) for pair in some
            ]
            if present:
                groups.append(Group(present, within))
        for facts, some in pairs.items():
            if not any(set(facts) <= set(together) - set(measured) for together in (*_TOGETHER, rest)):
                groups.append(Group((), some))
        self._groups = [(group.key, group.remembered, group) for group in groups]

    def _time(self) -> None:
        """Lay out which conjuncts are in force between any two bounds."""
        changes: dict[int, int] = {}
        force = self._every
        dated = [
            *((one.rule.start, one.rule.end, one.bits) for one in self._compiled),
            *((each.exception.start, each.exception.end, each.bit) for each in self._excepting),
        ]
        for start, end, bits in dated:
            if start is not None:
                force &= ~bits
                changes[start] = changes.get(start, 0) ^ bits
            if end is not None:
                changes[end] = changes.get(end, 0) ^ bits
        self.bounds = sorted(changes)
        self._in_force = [force]
        for bound in self.bounds:
            force ^= changes[bound]
            self._in_force.append(force)


def _by_literal(numbered: list[tuple[int, Conjunct]]) -> dict[Literal, int]:
    """Return the conjuncts that each literal stands in."""
    found: dict[Literal, int] = {}
    for bit, form in numbered:
        for literal in form:
            found[literal] = found.get(literal, 0) | bit
    return found


def _whom(one: PolicyException, lists: Lists) -> Conjunct:
    """Return what must be true of whom an exception is for: one comparison, so one conjunct."""
    forms = conjuncts(one.when, lists)
    assert forms is not None
    (form,) = forms
    return form


def _proof(rule: Rule) -> tuple[Proof, int | None] | None:
    return None if rule.proof is None else (rule.proof, rule.max_age_s)


def _proof_conjunct(proof: tuple[Proof, int | None]) -> Conjunct:
    """Return what must be true of a subject that has given the proof."""
    literals: set[Literal] = {(Ordered("assurance", Operator.AT_LEAST, proof[0].assurance), False)}
    if proof[1] is not None:
        literals.add((Ordered("auth_age", Operator.AT_MOST, proof[1]), False))
    return frozenset(literals)


def _proof_facts(rule: Rule) -> frozenset[str]:
    if rule.proof is None:
        return frozenset()
    return frozenset({"assurance"}) if rule.max_age_s is None else frozenset({"assurance", "auth_age"})


def _ages(rules: Sequence[Rule], lists: Lists) -> list[int]:
    """Return every whole age at which a comparison or a requirement may change, in order."""
    found: set[int] = set()
    for rule in rules:
        if rule.max_age_s is not None:
            found.add(rule.max_age_s + 1)
        for part in comparisons(rule.when):
            atom, _ = atom_of(part, lists)
            match atom:
                case Ordered("auth_age", _, number):
                    numbers: frozenset[Any] = frozenset({number})
                case Among("auth_age", values):
                    numbers = values
                case _:
                    numbers = frozenset()
            for number in numbers:
                if abs(number) < 2**53:
                    found |= {int(number // 1), int(number // 1) + 1}
    return sorted(found)
