"""Policies, lists, exceptions as text → the nouns of `rules.py`. What cannot be read is reported, all of it at once."""

from typing import Final

from gateway.core.terms import Effect, Operations, Proof, Reason
from gateway.policies.document import Leaf, Node, Table, read
from gateway.policies.duties import read_duties
from gateway.policies.examples import read_test
from gateway.policies.exceptions import read_exceptions
from gateway.policies.expression import ALWAYS, Condition, parse
from gateway.policies.fields import Fields, operations
from gateway.policies.findings import Finding, Rejected, did_you_mean, quoted
from gateway.policies.lists import read_list
from gateway.policies.rules import Exceptions, NamedList, Policy, Rule
from gateway.policies.slips import swallowed

POLICY_FIELDS: Final = ("policy", "title", "owner", "description", "rules", "tests")
RULE_FIELDS: Final = (
    "id", "grant", "limit", "require", "when", "absolute", "reason", "basis", "in_force",
    "status", "message", "on_match", "on_refusal", "justification",
)  # fmt: skip
REFUSAL_STATUSES: Final = (403, 451)
LONGEST_MESSAGE: Final = 300
OWN_REASONS: Final = frozenset(
    {Reason.NOT_GRANTED, Reason.OVERLOADED, Reason.RECORD_UNAVAILABLE, Reason.AMBIGUOUS_REQUEST}
)
"""Reasons that the gateway gives by itself: a rule that gave them would mislead whoever reads the refusal."""

_KINDS: Final = ("policy", "list", "exceptions")
_CALLED: Final = {Policy: "a policy", NamedList: "a list", Exceptions: "a file of exceptions"}
_EFFECTS: Final = tuple(effect.value for effect in Effect)


def parse_file(name: str, text: str) -> Policy | NamedList | Exceptions:
    """Return the policy, the list or the exceptions in `text`. Raise Rejected (a PolicyError) with every finding."""
    node = read(name, text)
    findings: list[Finding] = []
    result: Policy | NamedList | Exceptions | None = None
    if not isinstance(node, Table) or not node.keys.keys() & set(_KINDS):
        hint = did_you_mean(next(iter(node.keys)), _KINDS) if isinstance(node, Table) and node.keys else ""
        message = f"a file begins with `policy: NAME`, `list: NAME` or `exceptions: NAME`{hint}"
        findings.append(Finding(node.place, message, "wrong-form"))
    elif "exceptions" in node.keys:
        result = read_exceptions(node, findings)
    elif "list" in node.keys:
        result = read_list(node, findings)
    else:
        result = _policy(node, findings)
    if findings or result is None:
        raise Rejected(findings)
    return result


def parse_policy(name: str, text: str) -> Policy:
    """Return the policy in `text`. Raise Rejected (a PolicyError) with every finding."""
    parsed = parse_file(name, text)
    if not isinstance(parsed, Policy):
        raise Rejected([Finding(parsed.place, f"this is {_CALLED[type(parsed)]}, not a policy")])
    return parsed


def parse_list(name: str, text: str) -> NamedList:
    """Return the list in `text`. Raise Rejected (a PolicyError) with every finding."""
    parsed = parse_file(name, text)
    if not isinstance(parsed, NamedList):
        raise Rejected([Finding(parsed.place, f"this is {_CALLED[type(parsed)]}, not a list")])
    return parsed


def _policy(table: Table, findings: list[Finding]) -> Policy | None:
    fields = Fields(table, "the policy", POLICY_FIELDS, findings)
    name = fields.name("policy")
    title = fields.text("title", needed=True)
    owner = fields.text("owner", needed=True)
    description = fields.text("description", limit=4_000)
    fields.node("rules", needed=True)
    rules = [rule for node in fields.items("rules") if (rule := _rule(node, name or "", findings)) is not None]
    seen: set[str] = set()
    for rule in rules:
        if rule.id in seen:
            message = f"a second rule {quoted(rule.id)}: ids are unique within a policy"
            findings.append(Finding(rule.place, message, "duplicate-name"))
        seen.add(rule.id)
    # A test may name a rule that could not be read: one finding for that rule is enough.
    named = {one.text for node in fields.items("rules") if (one := _id_of(node)) is not None}
    tests = [
        test
        for node in fields.items("tests")
        if (test := read_test(node, name or "", frozenset(named), findings)) is not None
    ]
    if name is None or title is None or owner is None:
        return None
    return Policy(name, title, owner, description, tuple(rules), tuple(tests), table.keys["policy"])


def _rule(node: Node, policy: str, findings: list[Finding]) -> Rule | None:
    """Return one rule, or None where it cannot be read."""
    if not isinstance(node, Table):
        findings.append(Finding(node.place, "a rule is a mapping with `id`, an effect and `when`", "wrong-form"))
        return None
    already = len(findings)
    named = _id_of(node)
    what = f"rule `{named.text}`" if named is not None and named.text else "the rule"
    fields = Fields(node, what, RULE_FIELDS, findings)
    rule_id = fields.name("id")
    effects = [Effect(key) for key in _EFFECTS if key in fields]
    if len(effects) != 1:
        said = "has no effect" if not effects else "has more than one effect"
        fields.complain(node.place, f"{what} {said}: it takes exactly one of `grant`, `limit`, `require`", "bad-effect")
        return None
    effect = effects[0]
    opened, proof, max_age = _effect(fields, effect)
    when, when_text = _when(fields)
    start, end = _in_force(fields)
    on_match = read_duties(fields, "on_match", policy, rule_id or "")
    on_refusal = read_duties(fields, "on_refusal", policy, rule_id or "")
    reason = fields.code("reason", Reason, needed=effect is not Effect.GRANT)
    basis = fields.text("basis", needed=effect is not Effect.GRANT)
    status = _status(fields)
    message = fields.text("message", limit=LONGEST_MESSAGE)
    justification = fields.text("justification")
    absolute = fields.flag("absolute", otherwise=False)
    _fits(fields, effect, reason)
    if len(findings) > already or rule_id is None:
        return None
    return Rule(
        policy, rule_id, effect, opened, when, when_text, proof, max_age, reason, basis, start, end,
        on_match, on_refusal, status, message, justification, node.place, absolute,
    )  # fmt: skip


def _id_of(node: Node) -> Leaf | None:
    found = node.entries.get("id") if isinstance(node, Table) else None
    return found if isinstance(found, Leaf) else None


def _effect(fields: Fields, effect: Effect) -> tuple[Operations, Proof | None, int | None]:
    node = fields.node(effect.value, needed=True)
    if node is None:
        return frozenset(), None, None
    if effect is not Effect.REQUIRE:
        return operations(node, effect.value, fields.findings), None, None
    if not isinstance(node, Table):
        fields.complain(node.place, "`require` is a mapping: `{for: [withdraw], proof: mfa, max_age: 5m}`")
        return frozenset(), None, None
    inner = Fields(node, "`require`", ("for", "proof", "max_age"), fields.findings)
    guarded = inner.node("for", needed=True)
    proof = inner.code("proof", Proof, needed=True)
    covered = operations(guarded, "for", fields.findings) if guarded is not None else frozenset()
    return covered, proof, inner.duration("max_age")


def _when(fields: Fields) -> tuple[Condition, str]:
    node = fields.node("when", needed=True)
    if node is None:
        return ALWAYS, ""
    if isinstance(node, Leaf) and node.value is True:
        return ALWAYS, "True"
    if not isinstance(node, Leaf) or not isinstance(node.value, str) or not node.text.strip():
        fields.complain(node.place, '`when` must be a condition such as `country == "US"`, or `true`')
        return ALWAYS, ""
    if slip := swallowed(node.behind):
        place = node.place_at(len(node.text))
        place = place._replace(column=place.column + slip.offset)
        fields.complain(place, slip.message, "bad-condition")
    lead = len(node.text) - len(node.text.lstrip())
    text = node.text.strip()
    try:
        return parse(text, lambda offset: node.place_at(lead + offset)), text
    except Rejected as rejected:
        fields.findings += rejected.findings
        return ALWAYS, text


def _in_force(fields: Fields) -> tuple[int | None, int | None]:
    table = fields.table_of("in_force")
    if table is None:
        return None, None
    inner = Fields(table, "`in_force`", ("from", "until"), fields.findings)
    start, end = inner.instant("from"), inner.instant("until")
    if start is not None and end is not None and start >= end:
        swapped = "were they swapped?" if start > end else "leave the rule out, or say when it ends"
        message = f"`until` must be later than `from`: the rule would never be in force; {swapped}"
        inner.complain(table.keys["until"], message, "dates-swapped")
    return start, end


def _status(fields: Fields) -> int | None:
    node = fields.node("status")
    if node is None:
        return None
    if isinstance(node, Leaf) and node.value in REFUSAL_STATUSES and isinstance(node.value, int):
        return node.value
    fields.complain(node.place, "`status` is 451 (unavailable for legal reasons) or 403")
    return None


def _fits(fields: Fields, effect: Effect, reason: Reason | None) -> None:
    """Refuse fields that would never have an effect on a rule of this kind."""
    if reason in OWN_REASONS:
        fields.complain(
            fields.table.entries["reason"].place,
            f"`{reason}` is given by the gateway itself, not by a rule",
            "unknown-code",
        )
    never = {
        Effect.GRANT: ("on_refusal", "status", "message", "absolute"),
        Effect.LIMIT: (),
        Effect.REQUIRE: ("status",),
    }
    why = {Effect.GRANT: "a grant refuses nobody", Effect.REQUIRE: "a requirement is answered 401"}
    for key in never[effect]:
        if key in fields:
            fields.complain(fields.table.keys[key], f"`{key}` would never be used: {why[effect]}", "field-unused")
