"""Reading exceptions: who is spared which rules, for which operations, why, and until when."""

from typing import Final

from gateway.core.terms import Operation, Operations
from gateway.core.verdict import RuleRef
from gateway.policies.document import Leaf, Node, Row, Table
from gateway.policies.examples import read_test
from gateway.policies.expression import ALWAYS, Comparison, Condition, FactName, Literal, Literals, Operator
from gateway.policies.fields import NAME, Fields, code
from gateway.policies.findings import Finding, Place, quoted
from gateway.policies.rules import Exceptions, PolicyException

EXCEPTIONS_FIELDS: Final = ("exceptions", "owner", "description", "entries")
ENTRY_FIELDS: Final = (
    "id", "operations", "account", "accounts", "network", "lifts", "reason", "basis", "approved_by", "from", "until",
    "tests",
)  # fmt: skip
LONGEST_DAYS: Final = 90
MOST_OPERATIONS: Final = 4
MOST_ACCOUNTS: Final = 20
MOST_LIFTED: Final = 10
MOST_ENTRIES: Final = 500
LONGEST_ACCOUNT: Final = 200

_WHOM: Final = ("account", "accounts", "network")
_DAY_US: Final = 86_400_000_000


def read_exceptions(table: Table, findings: list[Finding]) -> Exceptions | None:
    """Return the exceptions that a mapping describes, or None where it cannot be read."""
    fields = Fields(table, "the exceptions", EXCEPTIONS_FIELDS, findings)
    name = fields.name("exceptions")
    owner = fields.text("owner", needed=True, limit=200)
    fields.text("description", limit=4_000)
    fields.node("entries", needed=True)
    nodes = list(fields.items("entries"))
    if len(nodes) > MOST_ENTRIES:
        message = f"more than {MOST_ENTRIES} exceptions: so many are a rule, and belong into a policy"
        findings.append(Finding(nodes[MOST_ENTRIES].place, message, "too-many"))
        return None
    entries = [one for node in nodes if (one := _entry(node, name or "", owner or "", findings)) is not None]
    seen: set[str] = set()
    for one in entries:
        if one.name in seen:
            message = f"a second exception {quoted(one.name)}: ids are unique within a file"
            findings.append(Finding(one.place, message, "duplicate-name"))
        seen.add(one.name)
    if name is None or owner is None:
        return None
    return Exceptions(name, owner, tuple(entries), table.keys["exceptions"])


def _entry(node: Node, name: str, owner: str, findings: list[Finding]) -> PolicyException | None:
    if not isinstance(node, Table):
        message = (
            "an exception is a mapping with `id`, `operations`, an account or a network, `lifts`, `from` and `until`"
        )
        findings.append(Finding(node.place, message, "wrong-form"))
        return None
    already = len(findings)
    fields = Fields(node, "the exception", ENTRY_FIELDS, findings)
    entry_id = fields.name("id")
    covered = _operations(fields)
    when, when_text = _whom(fields)
    lifts = _lifts(fields)
    reason = fields.text("reason", needed=True)
    basis = fields.text("basis", needed=True)
    approved_by = fields.text("approved_by", limit=200)
    if approved_by is not None and approved_by == owner:
        _complain(
            fields, "approved_by", f"{quoted(owner)} owns the exception: somebody else approves it", "same-person"
        )
    start, end = _in_force(fields)
    tests = [test for one in fields.items("tests") if (test := read_test(one, name, None, findings)) is not None]
    if len(findings) > already or entry_id is None or reason is None or basis is None or start is None or end is None:
        return None
    return PolicyException(
        f"{name}/{entry_id}", owner, covered, when, when_text, tuple(ref for ref, _ in lifts), reason, basis,
        approved_by, start, end, tuple(tests), node.place, tuple(place for _, place in lifts),
    )  # fmt: skip


def _operations(fields: Fields) -> Operations:
    """Return the operations, each named by itself: what is opened shall be read, not worked out."""
    items = _items(fields, "operations", MOST_OPERATIONS, "operation", "[withdraw]")
    found: set[Operation] = set()
    for item in items:
        text = item.text if isinstance(item, Leaf) else ""
        below = [one for one in Operation if one.startswith(f"{text}.")]
        if below:
            message = f"{quoted(text)} covers several operations: name those that are meant of {', '.join(below)}"
            fields.findings.append(Finding(item.place, message, "unknown-code"))
            continue
        one = code(item, Operation, "operation", fields.findings)
        if one is Operation.UNCLASSIFIED:
            message = "`unclassified` is whatever no route names: an exception says what it opens"
            fields.findings.append(Finding(item.place, message, "exception-too-wide"))
        elif one is not None:
            found.add(one)
    return frozenset(found)


def _whom(fields: Fields) -> tuple[Condition, str]:
    """Return who is meant, as a condition, and as one writes it."""
    given = [key for key in _WHOM if key in fields]
    if len(given) != 1:
        said = "names nobody" if not given else "says in more than one way for whom it is"
        message = f"the exception {said}: it takes exactly one of `account`, `accounts`, `network`"
        fields.findings.append(Finding(fields.table.place, message, "exception-for-whom"))
        return ALWAYS, ""
    key = given[0]
    if key == "accounts":
        items = _items(fields, key, MOST_ACCOUNTS, "account", "[c-4711, c-4712]")
    else:
        node = fields.node(key)
        items = () if node is None else (node,)
    names = [name for item in items if (name := _named(item, key, fields.findings)) is not None]
    place = fields.table.entries[key].place
    if key == "network":
        name = names[0] if names else ""
        return Comparison(Literal(name), Operator.IN, FactName("network"), place), f'"{name}" in network'
    listed = tuple(sorted(set(names)))
    written = ", ".join(f'"{one}"' for one in listed)
    return Comparison(FactName("account"), Operator.IN, Literals(listed), place), f"account in [{written}]"


def _named(item: Node, what: str, findings: list[Finding]) -> str | None:
    """Return one account or network."""
    text = item.text if isinstance(item, Leaf) else ""
    if "*" in text:
        message = f"{quoted(text)}: an exception is for somebody, never for everybody; what is for all is a rule"
        findings.append(Finding(item.place, message, "exception-too-wide"))
        return None
    if not 0 < len(text) <= LONGEST_ACCOUNT or not text.isprintable() or text.strip() != text or '"' in text:
        message = f"`{what}` takes the name of one, at most {LONGEST_ACCOUNT} printable characters"
        findings.append(Finding(item.place, message, "wrong-form"))
        return None
    return text


def _lifts(fields: Fields) -> list[tuple[RuleRef, Place]]:
    """Return the rules that are lifted, and where each is named."""
    found: dict[RuleRef, Place] = {}
    for item in _items(fields, "lifts", MOST_LIFTED, "rule", "[us-exit/us-closed]"):
        text = item.text if isinstance(item, Leaf) else ""
        policy, _, rule = text.partition("/")
        if "*" in text:
            message = f"{quoted(text)}: each rule is named by itself, so that a rule added later is not lifted unseen"
            fields.findings.append(Finding(item.place, message, "exception-too-wide"))
        elif not NAME.fullmatch(policy) or not NAME.fullmatch(rule):
            message = f"{quoted(text)} names no rule: write `POLICY/RULE`, such as `us-exit/us-closed`"
            fields.findings.append(Finding(item.place, message, "unknown-rule"))
        else:
            found.setdefault(RuleRef(policy, rule), item.place)
    return sorted(found.items())


def _items(fields: Fields, key: str, most: int, what: str, such: str) -> tuple[Node, ...]:
    """Return the items of a sequence that is neither missing, empty nor long."""
    node = fields.node(key, needed=True)
    if node is None:
        return ()
    if not isinstance(node, Row) or not 0 < len(node.items) <= most:
        message = f"`{key}` must be a list such as `{such}`: at least one {what}, at most {most}"
        fields.findings.append(
            Finding(node.place, message, "exception-too-wide" if isinstance(node, Row) else "wrong-form")
        )
        return ()
    return node.items


def _in_force(fields: Fields) -> tuple[int | None, int | None]:
    for key in ("from", "until"):
        if key not in fields:
            message = f"the exception lacks `{key}`: every exception begins and ends, at most {LONGEST_DAYS} days later"
            fields.findings.append(Finding(fields.table.place, message, "missing-field"))
    start, end = fields.instant("from"), fields.instant("until")
    if start is None or end is None:
        return start, end
    if start >= end:
        swapped = "were they swapped?" if start > end else "it would never be in force"
        _complain(fields, "until", f"`until` must be later than `from`: {swapped}", "dates-swapped")
    elif end - start > LONGEST_DAYS * _DAY_US:
        days = -(-(end - start) // _DAY_US)
        message = f"an exception lasts at most {LONGEST_DAYS} days, and this one {days}: renew it if need be"
        _complain(fields, "until", message, "exception-too-long")
    return start, end


def _complain(fields: Fields, key: str, message: str, kind: str) -> None:
    """Add a finding about the value of a field."""
    fields.findings.append(Finding(fields.table.entries[key].place, message, kind))
