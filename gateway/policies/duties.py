"""Reading what must happen besides the answer: flags, statuses, holds, tickets, notices."""

from typing import Final

from gateway.core.terms import Status
from gateway.core.verdict import Obligation
from gateway.policies.document import Leaf, Node, Row, Table
from gateway.policies.fields import NAME, Fields, code, operations
from gateway.policies.findings import did_you_mean, quoted

KINDS: Final = ("flag", "status", "hold", "ticket", "notify")
ON_ACCOUNT: Final = frozenset(KINDS) - {"notify"}
"""Kinds that change something about an account, so that there must be one."""

_HOLD: Final = ("operations", "evidence", "expires")
_MOST_EVIDENCE: Final = 20


def read_duties(fields: Fields, key: str, policy: str, rule: str) -> tuple[Obligation, ...]:
    """Return the obligations listed in a field."""
    found = (_duty(node, fields, policy, rule) for node in fields.items(key))
    return tuple(one for one in found if one is not None)


def _duty(node: Node, fields: Fields, policy: str, rule: str) -> Obligation | None:
    if not isinstance(node, Table) or len(node.entries) != 1:
        fields.complain(node.place, f"an obligation has one field, one of {', '.join(f'`{kind}`' for kind in KINDS)}")
        return None
    kind, value = next(iter(node.entries.items()))
    if kind not in KINDS:
        fields.complain(node.keys[kind], f"unknown obligation {quoted(kind)}{did_you_mean(kind, KINDS)}")
        return None
    if kind == "hold":
        return _hold(value, fields, policy, rule)
    if kind == "status":
        status = code(value, Status, "status", fields.findings)
        if status is Status.NONE:
            fields.complain(value.place, "`none` is no status of an account: it says that nobody is signed in")
        return None if status is None else Obligation(kind, status.value, policy, rule)
    text = value.text if isinstance(value, Leaf) else ""
    if not NAME.fullmatch(text):
        fields.complain(value.place, f"`{kind}` takes a name: small letters, digits, `-`, `_` and `.`, at most 64")
        return None
    return Obligation(kind, text, policy, rule)


def _hold(node: Node, fields: Fields, policy: str, rule: str) -> Obligation | None:
    if not isinstance(node, Table):
        fields.complain(node.place, "`hold` is a mapping with `operations`, and `evidence` and `expires` where wanted")
        return None
    hold = Fields(node, "the hold", _HOLD, fields.findings)
    closed = hold.node("operations", needed=True)
    if closed is not None and not isinstance(closed, Row):
        hold.complain(closed.place, "`operations` must be a list of operations, such as `[withdraw]`")
        closed = None
    covered = operations(closed, "operations", fields.findings) if closed is not None else frozenset()
    evidence: list[str] = []
    for item in hold.items("evidence"):
        if isinstance(item, Leaf) and NAME.fullmatch(item.text) and len(evidence) < _MOST_EVIDENCE:
            evidence.append(item.text)
        else:
            hold.complain(
                item.place, f"evidence is named by at most {_MOST_EVIDENCE} words of small letters and digits"
            )
    expires = hold.duration("expires")
    return Obligation("hold", ",".join(sorted(covered)), policy, rule, tuple(evidence), expires) if covered else None
