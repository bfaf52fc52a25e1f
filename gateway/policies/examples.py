"""Reading the tests that a policy carries."""

from typing import Final

from gateway.core.facts import AnyFact, OneOf, Unknown
from gateway.core.terms import Access, Operation, Outcome, Reason, WhyUnknown
from gateway.policies.document import Leaf, Node, Row, Table
from gateway.policies.duties import read_duties
from gateway.policies.fields import Fields, code
from gateway.policies.findings import Finding, did_you_mean, quoted
from gateway.policies.rules import Duty, Expected, PolicyTest
from gateway.policies.schema import FACTS, FactSchema
from gateway.policies.values import problem

TEST_FIELDS: Final = ("name", "facts", "operation", "at", "expect")
EXPECT_FIELDS: Final = ("outcome", "by", "reason", "access", "obligations")


def read_test(node: Node, policy: str, rule_ids: frozenset[str] | None, findings: list[Finding]) -> PolicyTest | None:
    """Return one test, or None where it cannot be read. Without `rule_ids` any rule may be expected to determine."""
    if not isinstance(node, Table):
        findings.append(
            Finding(node.place, "a test is a mapping with `name`, `facts`, `operation` and `expect`", "wrong-form")
        )
        return None
    fields = Fields(node, "the test", TEST_FIELDS, findings)
    name = fields.text("name", needed=True, limit=200)
    operation = fields.code("operation", Operation, needed=True)
    at = fields.instant("at")
    facts = fields.table_of("facts")
    expected = fields.table_of("expect", needed=True)
    expect = _expected(expected, policy, rule_ids, findings) if expected is not None else None
    values = _facts(facts, findings) if facts is not None else {}
    if name is None or operation is None or expect is None:
        return None
    return PolicyTest(policy, name, values, operation, at, expect, node.place)


def _facts(table: Table, findings: list[Finding]) -> dict[str, AnyFact]:
    values: dict[str, AnyFact] = {}
    for name, node in table.entries.items():
        place = table.keys[name]
        if name == "operation":
            findings.append(Finding(place, "`operation` stands beside `facts`, not among them", "unknown-fact"))
        elif name == "at":
            findings.append(Finding(place, "`at` stands beside `facts`, not among them", "unknown-fact"))
        elif name not in FACTS:
            findings.append(Finding(place, f"unknown fact {quoted(name)}{did_you_mean(name, FACTS)}", "unknown-fact"))
        else:
            values[name] = _fact(FACTS[name], node, findings)
    return values


def _fact(fact: FactSchema, node: Node, findings: list[Finding]) -> AnyFact:
    if not isinstance(node, Table):
        return _value(fact, node, findings)
    fields = Fields(node, f"the uncertain fact `{fact.name}`", ("unknown", "one_of", "prefixes", "why"), findings)
    if "unknown" in fields:
        for key in ("one_of", "prefixes", "why"):
            if key in fields:
                fields.complain(node.keys[key], f"`{key}` says nothing beside `unknown`: leave one of them out")
        cause = fields.node("unknown")
        found = None if cause is None else code(cause, WhyUnknown, "cause", findings)
        return Unknown(found or WhyUnknown.NOT_SUPPLIED)
    if "one_of" not in fields and "prefixes" not in fields:
        fields.complain(node.place, "an uncertain fact is `{unknown: WHY}` or `{one_of: [...]}`")
    why = fields.code("why", WhyUnknown) or WhyUnknown.SOURCES_DISAGREE
    values = frozenset(_value(fact, item, findings) for item in fields.items("one_of"))
    prefixes = frozenset(item.text for item in fields.items("prefixes") if isinstance(item, Leaf))
    if prefixes and (fact.is_set or fact.is_number):
        fields.complain(node.keys["prefixes"], f"`{fact.name}` has no prefixes: they say how a text begins")
    return OneOf(why, values, prefixes)


def _value(fact: FactSchema, node: Node, findings: list[Finding]) -> str | int | float | frozenset[str] | None:
    """Return the certain value that a test writes. An empty value is "there is none"."""
    if fact.is_set:
        items = node.items if isinstance(node, Row) else None
        if items is None:
            such = f"[{node.text}]" if isinstance(node, Leaf) and node.text else "[...]"
            message = f"`{fact.name}` is a set: write `{such}`, and `[]` where there is none"
            findings.append(Finding(node.place, message, "wrong-form"))
            return frozenset()
        return frozenset(str(_plain(fact, item, findings)) for item in items)
    if isinstance(node, Leaf) and node.value is None and fact.nullable:
        return None
    return _plain(fact, node, findings)


def _plain(fact: FactSchema, node: Node, findings: list[Finding]) -> str | int | float:
    value = node.value if isinstance(node, Leaf) else None
    if isinstance(node, Leaf) and not fact.is_number and isinstance(value, int | float) and not isinstance(value, bool):
        value = node.text  # an account called 42 is the text "42"
    wrong = problem(fact, value)
    if wrong is None and isinstance(value, str | int | float):
        return value
    findings.append(Finding(node.place, wrong or f"`{fact.name}` takes a plain value", "unknown-value"))
    return ""


def _expected(table: Table, policy: str, rule_ids: frozenset[str] | None, findings: list[Finding]) -> Expected | None:
    fields = Fields(table, "`expect`", EXPECT_FIELDS, findings)
    outcome = fields.code("outcome", Outcome, needed=True)
    reason = fields.code("reason", Reason)
    access = fields.code("access", Access)
    by = None
    if "by" in fields:
        items = list(fields.items("by"))
        by = frozenset(item.text for item in items if isinstance(item, Leaf))
        for item in items:
            text = item.text if isinstance(item, Leaf) else ""
            if rule_ids is not None and text not in rule_ids:
                message = f"no rule {quoted(text)} in this policy{did_you_mean(text, rule_ids)}"
                findings.append(Finding(item.place, message, "unknown-rule"))
    duties = None
    if "obligations" in fields:
        duties = frozenset(map(Duty.of, read_duties(fields, "obligations", policy, "")))
    return None if outcome is None else Expected(outcome, by, reason, access, duties)
