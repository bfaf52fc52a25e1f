"""Reading named lists: countries, subdivisions, autonomous systems, each with its source and date."""

import keyword
from typing import Final

from gateway.policies.document import Leaf, Node, Row, Table
from gateway.policies.fields import Fields
from gateway.policies.findings import Finding, did_you_mean, quoted
from gateway.policies.rules import NamedList
from gateway.policies.schema import FACTS, Kind
from gateway.policies.values import of_kind

LIST_FIELDS: Final = ("list", "kind", "title", "source", "date", "stale_after", "entries")
LIST_KINDS: Final = {"countries": Kind.COUNTRY, "subdivisions": Kind.SUBDIVISION, "asns": Kind.ASN}


def read_list(table: Table, findings: list[Finding]) -> NamedList | None:
    """Return the list that a mapping describes, or None where it cannot be read."""
    fields = Fields(table, "the list", LIST_FIELDS, findings)
    name = fields.name("list")
    title = fields.text("title", needed=True)
    source = fields.text("source", needed=True)
    fields.instant("date")
    date = fields.text("date", needed=True)
    stale_after_s = fields.duration("stale_after")
    kind = _list_kind(fields)
    taken = _taken(name.replace("-", "_")) if name is not None else None
    if taken is not None:
        place = table.entries["list"].place
        fields.complain(place, f"{quoted(name)} cannot be named in a condition: {taken}", "bad-name")
    row = fields.node("entries", needed=True)
    if isinstance(row, Row) and not row.items:
        fields.complain(row.place, "the list is empty: a rule about it would say nothing", "missing-field")
    entries: set[str | int] = set()
    for node in fields.items("entries"):
        entry = _entry(node, findings)
        if entry is None or kind is None:
            continue
        number = kind is Kind.ASN and isinstance(entry.value, int)
        value: str | int = int(entry.text) if number else entry.text
        wrong = of_kind(kind, value)
        if wrong is None and value in entries:
            findings.append(
                Finding(entry.place, f"{quoted(entry.text)} stands in the list a second time", "duplicate-name")
            )
        elif wrong is not None:
            findings.append(Finding(entry.place, wrong, "unknown-value"))
        else:
            entries.add(value)
    if name is None or title is None or source is None or date is None or kind is None:
        return None
    return NamedList(name, kind, title, source, date, frozenset(entries), table.keys["list"], stale_after_s)


def _taken(key: str) -> str | None:
    """Return why conditions cannot say this name, or None."""
    if key in FACTS:
        return f"`{key}` is a fact, and a condition would ask that; a longer name such as `{key}-listed` is free"
    if keyword.iskeyword(key) or key == "known":
        return f"`{key}` is a word of the language; a longer name such as `{key}-listed` is free"
    return None if key.isidentifier() else "there it begins with a letter, and has letters, digits and `-` only"


def _list_kind(fields: Fields) -> Kind | None:
    node = fields.node("kind", needed=True)
    text = node.text if isinstance(node, Leaf) else ""
    if node is not None and text == "networks":
        fields.complain(
            node.place,
            'networks are not listed in policies: add `networks = { NAME = "FILE.txt" }` under `[geodb]`, '
            'then write `"NAME" in network`',
        )
    elif node is not None and text not in LIST_KINDS:
        fields.complain(
            node.place, f"unknown kind of list {quoted(text)}{did_you_mean(text, LIST_KINDS)}", "unknown-code"
        )
    return LIST_KINDS.get(text)


def _entry(node: Node, findings: list[Finding]) -> Leaf | None:
    """Return the code of an entry, which may carry a note."""
    if isinstance(node, Leaf):
        return node
    if isinstance(node, Table):
        code = Fields(node, "the entry", ("code", "note"), findings).node("code", needed=True)
        if isinstance(code, Leaf):
            return code
    findings.append(Finding(node.place, "an entry is a code, or `{code: CODE, note: TEXT}`", "wrong-form"))
    return None
