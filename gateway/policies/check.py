"""Whether parsed policies can mean what they say: names, types, codes, and facts that have a source."""

import re
from collections.abc import Iterable, Mapping, Sequence

from gateway.policies.expression import Comparison, FactName, Known, ListName, Literal, Literals, Operand, Operator
from gateway.policies.expression import comparisons as comparisons_of
from gateway.policies.findings import Finding, Place, did_you_mean, quoted
from gateway.policies.rules import NamedList, Policy, Rule
from gateway.policies.schema import FACTS, NETWORKS, FactSchema, Kind, Sources
from gateway.policies.slips import looks_alike
from gateway.policies.unparse import text_of
from gateway.policies.values import problem

_ORDERING = frozenset({Operator.LESS, Operator.AT_MOST, Operator.MORE, Operator.AT_LEAST})
_MEMBERSHIP = frozenset({Operator.IN, Operator.NOT_IN})
_NO_FACTS = {
    "true": "no fact is true or false: compare with a text or a number",
    "false": "no fact is true or false: compare with a text or a number",
    "null": '"there is none" equals nothing: compare with what there is',
    "none": 'write `"none"` in quotes if the value is meant',
}
"""What other languages have as words of their own."""


def check(policies: Sequence[Policy], lists: Mapping[str, NamedList], sources: Sources | None) -> list[Finding]:
    """Return all that is wrong. Without `sources` every fact counts as supplied."""
    findings: list[Finding] = []
    seen: dict[str, Place] = {}
    for policy in policies:
        if policy.name in seen:
            where = f"the first stands in {seen[policy.name].file}"
            message = f"a second policy named {quoted(policy.name)}: {where}"
            findings.append(Finding(policy.place, message, "duplicate-name"))
        seen[policy.name] = policy.place
        for rule in policy.rules:
            checked = _RuleCheck(rule, lists, sources)
            checked.run()
            findings += checked.findings
    return findings


class _RuleCheck:
    """The check of one rule."""

    def __init__(self, rule: Rule, lists: Mapping[str, NamedList], sources: Sources | None) -> None:
        self.findings: list[Finding] = []
        self._rule = rule
        self._lists = lists
        self._sources = sources

    def run(self) -> None:
        """Find all that is wrong with the rule."""
        for part in comparisons_of(self._rule.when):
            if isinstance(part, Known):
                self._known(part)
            else:
                self._comparison(part)
        if self._rule.proof is not None:  # satisfied by facts that the condition need not name
            self._supplied(FACTS["assurance"], self._rule.place)

    def _complain(self, place: Place, message: str, code: str) -> None:
        self.findings.append(Finding(place, message, code))

    def _known(self, part: Known) -> None:
        if part.fact not in FACTS:
            hint = looks_alike(part.fact) + did_you_mean(part.fact, FACTS)
            message = f"unknown fact {quoted(part.fact)} in rule `{self._rule.id}`{hint}"
            self._complain(part.place, message, "unknown-fact")
            return
        self._supplied(FACTS[part.fact], part.place)
        if self._rule.justification is None:
            self._complain(
                part.place,
                f"`known` lets ignorance decide: rule `{self._rule.id}` must say in `justification` why that is safe",
                "needs-justification",
            )

    def _comparison(self, part: Comparison) -> None:
        for operand in (part.left, part.right):
            match operand:
                case ListName(name) if name not in self._lists:
                    self._unknown_name(name, part)
                    return
                case FactName(name):
                    self._supplied(FACTS[name], part.place)
                case _:
                    pass
        wrong = self._form(part)
        if wrong is not None:
            self._complain(part.place, f"in rule `{self._rule.id}`: {wrong}", "comparison")

    def _unknown_name(self, name: str, part: Comparison) -> None:
        facts = [FACTS[one.name] for one in (part.left, part.right) if isinstance(one, FactName)]
        if name in _NO_FACTS:
            hint = f": {_NO_FACTS[name]}"
        elif any(problem(fact, name) is None for fact in facts if fact.kind is not Kind.FLAG):
            hint = f': write `"{name}"` in quotes if the value is meant'
        elif any(fact.kind is Kind.ASN for fact in facts) and name[:2] == "AS" and name[2:].isdecimal():
            hint = f": write `{name[2:]}`"
        else:
            hint = looks_alike(name) + did_you_mean(name, [*FACTS, *self._lists])
        named = "list" if part.operator in _MEMBERSHIP and part.right == ListName(name) else "fact"
        message = f"unknown {named} {quoted(name)} in rule `{self._rule.id}`{hint}"
        self._complain(part.place, message, "unknown-fact")

    def _supplied(self, fact: FactSchema, place: Place) -> None:
        if self._sources is not None and fact.name not in self._sources.facts:
            message = f"no source of `{fact.name}`, which rule `{self._rule.id}` names: {fact.configure}"
            self._complain(place, message, "no-source")

    def _form(self, part: Comparison) -> str | None:
        """Return what is wrong with the form or the types of a comparison."""
        if not isinstance(part.left, FactName) and not isinstance(part.right, FactName):
            return "the comparison names no fact, so it never changes"
        if part.left == part.right:
            return "a fact compared with itself says nothing"
        if part.operator in _MEMBERSHIP:
            return self._membership(part.left, part.right)
        return self._equality_or_order(part)

    def _equality_or_order(self, part: Comparison) -> str | None:
        facts: list[FactSchema] = []
        for operand in (part.left, part.right):
            match operand:
                case FactName(name) if FACTS[name].is_set:
                    asked = next((text_of(one) for one in (part.left, part.right) if isinstance(one, Literal)), '"…"')
                    return f"`{name}` is a set: ask it by `in`, such as `{asked} in {name}`"
                case FactName(name):
                    facts.append(FACTS[name])
                case Literal():
                    pass
                case ListName() | Literals():
                    return "a list is asked by `in`, such as `country in [...]`"
        if part.operator in _ORDERING and not all(fact.is_number for fact in facts):
            return f"`{facts[0].name}` is a text and has no order: name its values with `in [...]`"
        return _same_kind(facts) or self._literals(facts[0], (part.left, part.right))

    def _membership(self, left: Operand, right: Operand) -> str | None:
        match left, right:
            case FactName(name), _ if FACTS[name].is_set:
                asked = text_of(right, whole=False)
                return f"`{name}` is a set: to ask whether it has some member of a list, write `{asked} in {name}`"
            case _, Literal(value):
                several = isinstance(value, str) and re.findall(r"\w[\w.-]*", value)
                listed = f"`{text_of(Literals(tuple(several)))}`" if several and len(several) > 1 else "a list"
                return f"{quoted(value)} is one value: write `==`, or {listed}"
            case _, FactName(name) if not FACTS[name].is_set:
                values = text_of(left, whole=False) if isinstance(left, ListName | Literals) else "[...]"
                return f"`{name}` is one value, not a set: write `==`, or `{name} in {values}`"
            case FactName(name), FactName(other):
                return _same_kind([FACTS[name], FACTS[other]])
            case FactName(name), values:
                return self._literals(FACTS[name], (values,))
            case values, right_fact:
                assert isinstance(right_fact, FactName)  # `_form` has seen to it that there is a fact
                return self._literals(FACTS[right_fact.name], (values,))

    def _literals(self, fact: FactSchema, operands: Iterable[Operand]) -> str | None:
        """Return what is wrong with the values or lists compared with a fact."""
        for operand in operands:
            match operand:
                case ListName(name) if self._lists[name].kind is not fact.kind:
                    kind = self._lists[name].kind
                    return f"`{name}` lists codes of kind {kind}, and `{fact.name}` is of kind {fact.kind}"
                case Literal(value):
                    wrong = self._value(fact, value)
                case Literals(values):
                    wrong = next((found for value in values if (found := self._value(fact, value)) is not None), None)
                case _:
                    wrong = None
            if wrong is not None:
                return wrong
        return None

    def _value(self, fact: FactSchema, value: str | float) -> str | None:
        wrong = problem(fact, value)
        if wrong is not None or fact.kind is not Kind.NETWORK or self._sources is None:
            return wrong
        if value in self._sources.networks:
            return None
        if value in NETWORKS:
            return f'no source of the network `{value}`: add `networks = {{ {value} = "FILE.txt" }}` under `[geodb]`'
        known = [*self._sources.networks, *NETWORKS]
        return f"no network list is named {quoted(value)}{did_you_mean(str(value), known)}"


def _same_kind(facts: Sequence[FactSchema]) -> str | None:
    kinds = {fact.kind for fact in facts}
    if len(kinds) > 1:
        return f"`{facts[0].name}` and `{facts[1].name}` are different things ({facts[0].kind} and {facts[1].kind})"
    return None
