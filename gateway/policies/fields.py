"""Reading the fields of a mapping, one finding for each thing that is not as it should be."""

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Final, TypeVar

from gateway.core.terms import EVERYTHING, LEVELS, Access, Operation, Operations
from gateway.policies.document import Leaf, Node, Row, Table
from gateway.policies.findings import Finding, Place, did_you_mean, quoted
from gateway.policies.slips import invisible
from gateway.policies.times import instant, meant_date, meant_duration, seconds

E = TypeVar("E", bound=StrEnum)

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

_SYNONYMS: Final = {
    "allow": "grant",
    "permit": "grant",
    "block": "limit: none",
    "deny": "limit: none",
    "forbid": "limit: none",
    "refuse": "limit: none",
    "challenge": "require",
    "condition": "when",
    "if": "when",
    "where": "when",
    "why": "reason",
    "source": "basis",
    "dates": "in_force",
    "from": "in_force: {from: ...}",
    "until": "in_force: {until: ...}",
    "expires": "in_force: {until: ...}",
    "start": "from",
    "end": "until",
    "given": "facts",
    "then": "expect",
    "countries": "entries",
    "values": "entries",
}
"""What other languages call our fields."""

_FOR: Final = {
    "basis": ": the law, order or internal decision that it rests on",
    "reason": ": the code that tells the customer why",
    "when": ": the condition, or `true`",
}
"""What a field is for, where its absence is a matter of substance."""


class Fields:
    """The fields of one mapping. What is read wrongly becomes a finding and comes back as None."""

    def __init__(self, table: Table, what: str, known: Iterable[str], findings: list[Finding]) -> None:
        self.table = table
        self.findings = findings
        self._what = what
        options = tuple(known)
        for key, place in table.keys.items():
            if key not in options:
                meant = _SYNONYMS.get(key.lower(), key)
                hint = (
                    f": did you mean `{meant}`?" if meant.partition(":")[0] in options else did_you_mean(key, options)
                )
                self.complain(place, f"unknown field {quoted(key)} in {what}{hint}", "unknown-field")

    def __contains__(self, key: str) -> bool:
        return key in self.table.entries

    def complain(self, place: Place, message: str, code: str = "wrong-form") -> None:
        """Add a finding."""
        self.findings.append(Finding(place, message, code))

    def node(self, key: str, *, needed: bool = False) -> Node | None:
        """Return the value of a field, or None; its absence is a finding where it is needed."""
        found = self.table.entries.get(key)
        if isinstance(found, Leaf) and found.value is None:
            message = f"`{key}` in {self._what} is empty: give it a value, or leave it out"
            self.complain(found.place, message, "missing-field")
            return None
        if found is None and needed:
            self.complain(self.table.place, f"{self._what} lacks `{key}`{_FOR.get(key, '')}", "missing-field")
        return found

    def text(self, key: str, *, needed: bool = False, limit: int = 2_000) -> str | None:
        """Return a field of text."""
        node = self.node(key, needed=needed)
        if node is None:
            return None
        if not isinstance(node, Leaf):
            self.complain(node.place, f"`{key}` in {self._what} must be a text")
            return None
        text = " ".join(node.text.split())
        if not text or len(text) > limit or not text.isprintable():
            unseen = invisible(text)
            found = f"holds {unseen}, which nobody can see" if unseen else f"has {len(text)}"
            message = f"`{key}` in {self._what} must be a printable text of 1 to {limit} characters, and it {found}"
            self.complain(node.place, message, "bad-text")
            return None
        return text

    def name(self, key: str) -> str | None:
        """Return a field that names the thing itself."""
        text = self.text(key, needed=True, limit=64)
        if text is not None and not NAME.fullmatch(text):
            place = self.table.entries[key].place
            better = re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-._")
            hint = f": did you mean `{better}`?" if NAME.fullmatch(better) else ""
            rule = "small letters, digits, `-`, `_` and `.`, at most 64"
            self.complain(place, f"{quoted(text)} is no name: {rule}{hint}", "bad-name")
            return None
        return text

    def code(self, key: str, codes: type[E], *, needed: bool = False) -> E | None:
        """Return a field that holds one of the codes of an enumeration."""
        node = self.node(key, needed=needed)
        return None if node is None else code(node, codes, key, self.findings)

    def table_of(self, key: str, *, needed: bool = False) -> Table | None:
        """Return a field that is a mapping."""
        node = self.node(key, needed=needed)
        if node is not None and not isinstance(node, Table):
            self.complain(node.place, f"`{key}` in {self._what} must be a mapping of names to values")
            return None
        return node

    def items(self, key: str) -> Iterator[Node]:
        """Return the items of a field that is a sequence."""
        node = self.node(key)
        if isinstance(node, Row):
            yield from node.items
        elif node is not None:
            self.complain(node.place, f"`{key}` in {self._what} must be a sequence, each item begun with `-`")

    def duration(self, key: str) -> int | None:
        """Return a length of time such as `72h`, in seconds."""
        node = self.node(key)
        if node is None:
            return None
        found = seconds(node.text) if isinstance(node, Leaf) else None
        if found is None:
            hint = meant_duration(node.text) if isinstance(node, Leaf) else ""
            message = f"`{key}` must be a length of time such as `45s`, `5m`, `72h` or `30d`{hint}"
            self.complain(node.place, message, "bad-duration")
            return None
        return found

    def flag(self, key: str, *, otherwise: bool) -> bool:
        """Return a field that is true or false; `otherwise` where it is not said."""
        node = self.node(key)
        if node is None:
            return otherwise
        value = node.value if isinstance(node, Leaf) else None
        if not isinstance(value, bool):
            self.complain(node.place, f"`{key}` must be `true` or `false`")
            return otherwise
        return value

    def instant(self, key: str) -> int | None:
        """Return an instant in microseconds since the epoch. A bare date is its midnight, UTC."""
        node = self.node(key)
        if node is None:
            return None
        try:
            return instant(node.text if isinstance(node, Leaf) else "")
        except ValueError:
            hint = meant_date(node.text) if isinstance(node, Leaf) else ""
            message = f"`{key}` must be a date such as `2023-02-15` or a time with its offset from UTC{hint}"
            self.complain(node.place, message, "bad-date")
            return None


def code(node: Node, codes: type[E], what: str, findings: list[Finding]) -> E | None:
    """Return the member that a value names, or None with a finding."""
    text = node.text if isinstance(node, Leaf) else None
    for member in codes:
        if member.value == text:
            return member
    options = [member.value for member in codes]
    if text is None:
        findings.append(Finding(node.place, f"`{what}` must be one word{did_you_mean('', options)}", "wrong-form"))
        return None
    hint = did_you_mean(text, options) or f": it is one of {', '.join(f'`{option}`' for option in options)}"
    findings.append(Finding(node.place, f"unknown {what} {quoted(text)}{hint}", "unknown-code"))
    return None


def operations(node: Node, what: str, findings: list[Finding]) -> Operations:
    """Return the operations that a level, a list or `{all_but: [...]}` names; those readable, where some are not."""
    if isinstance(node, Table):
        fields = Fields(node, what, ("all_but",), findings)
        inner = fields.node("all_but", needed=True)
        return EVERYTHING - (_listed(inner, "all_but", findings) if inner is not None else frozenset())
    if isinstance(node, Row):
        return _listed(node, what, findings)
    for level, opened in LEVELS.items():
        if level.value == node.text:
            return opened
    if _covered(node.text):
        message = f"{quoted(node.text)} is an operation, not a level: write `[{node.text}]`"
    else:
        message = f"unknown access level {quoted(node.text)}{did_you_mean(node.text, [str(level) for level in Access])}"
    findings.append(Finding(node.place, message, "unknown-code"))
    return frozenset()


def _listed(node: Node, what: str, findings: list[Finding]) -> Operations:
    if not isinstance(node, Row) or not node.items:
        findings.append(Finding(node.place, f"`{what}` must be a list of operations, with one at least", "wrong-form"))
        return frozenset()
    covered: set[Operation] = set()
    for item in node.items:
        text = item.text if isinstance(item, Leaf) else ""
        found = _covered(text)
        if not found:
            hint = did_you_mean(text, [*map(str, Operation), "trade"])
            findings.append(Finding(item.place, f"unknown operation {quoted(text)}{hint}", "unknown-code"))
        covered |= found
    return frozenset(covered)


def _covered(text: str) -> Operations:
    """Return the operations that a word covers: itself, and what stands below it."""
    return frozenset(one for one in Operation if one.value == text or one.value.startswith(f"{text}."))
