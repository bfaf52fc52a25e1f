"""Reading what must happen besides the answer: flags, statuses, holds, tickets, notices."""

from typing import Final

from gateway.core.evidence import LONGEST_WITHIN, After
from gateway.core.terms import Status
from gateway.core.verdict import Obligation
from gateway.policies.document import Leaf, Node, Row, Table
from gateway.policies.fields import NAME, Fields, code, operations
from gateway.policies.findings import did_you_mean, quoted

KINDS: Final = ("flag", "status", "hold", "ticket", "notify")
ON_ACCOUNT: Final = frozenset(KINDS) - {"notify"}
"""Kinds that change something about an account, so that there must be one."""

AFTER: Final = "after"
ON_EVIDENCE: Final = ("flag", "status")
"""Kinds that may wait until there is evidence enough."""

_HOLD: Final = ("operations", "evidence", "expires", "expeditable")
_AFTER: Final = ("days", "within")
_DAY_S: Final = 86_400
_MOST_EVIDENCE: Final = 20


def read_duties(fields: Fields, key: str, policy: str, rule: str) -> tuple[Obligation, ...]:
    """Return the obligations listed in a field."""
    found = (_duty(node, fields, policy, rule) for node in fields.items(key))
    return tuple(one for one in found if one is not None)


def _duty(node: Node, fields: Fields, policy: str, rule: str) -> Obligation | None:
    kind = _kind(node, fields)
    if kind is None or not isinstance(node, Table):
        return None
    after = None
    if AFTER in node.entries:
        after = _after(node.entries[AFTER], fields)
        if kind not in ON_EVIDENCE:
            fields.complain(node.keys[AFTER], f"`{AFTER}` belongs to `flag` and `status`: a `{kind}` follows at once")
    value = node.entries[kind]
    if kind == "hold":
        return _hold(value, fields, policy, rule)
    if kind == "status":
        status = code(value, Status, "status", fields.findings)
        if status is Status.NONE:
            fields.complain(value.place, "`none` is no status of an account: it says that nobody is signed in")
        return None if status is None else Obligation(kind, status.value, policy, rule, after=after)
    text = value.text if isinstance(value, Leaf) else ""
    if not NAME.fullmatch(text):
        message = f"`{kind}` takes a name: small letters, digits, `-`, `_` and `.`, at most 64"
        fields.complain(value.place, message, "bad-name")
        return None
    return Obligation(kind, text, policy, rule, after=after)


def _kind(node: Node, fields: Fields) -> str | None:
    """Return what an obligation asks for: its one field, `after` beside it left out."""
    kinds = [key for key in node.entries if key != AFTER] if isinstance(node, Table) else []
    known = [key for key in kinds if key in KINDS]
    unknown = [key for key in kinds if key not in KINDS]
    if isinstance(node, Table) and unknown and len(known) <= 1:
        # Beside what is asked for, only `after` could have been meant.
        kind, options = unknown[0], (AFTER,) if known else KINDS
        message = f"unknown obligation {quoted(kind)}{did_you_mean(kind, options)}"
        fields.complain(node.keys[kind], message, "unknown-code")
        return None
    if len(kinds) != 1:
        such = f", such as `{{{node.text}: NAME}}`" if isinstance(node, Leaf) and node.text in KINDS else ""
        named = ", ".join(f"`{kind}`" for kind in KINDS)
        fields.complain(node.place, f"an obligation has one field, one of {named}{such}")
        return None
    return kinds[0]


def _after(node: Node, fields: Fields) -> After | None:
    """Return how much evidence is asked for, and a finding where it could not be had."""
    if not isinstance(node, Table):
        fields.complain(node.place, f"`{AFTER}` is a mapping such as `{{days: 3, within: 30d}}`")
        return None
    after = Fields(node, f"`{AFTER}`", _AFTER, fields.findings)
    days, within_s = after.node("days", needed=True), after.duration("within")
    if "within" not in after:
        after.complain(node.place, f"`{AFTER}` lacks `within`, such as `30d`")
    if days is None or within_s is None:
        return None
    within, rest = divmod(within_s, _DAY_S)
    if rest or not 2 <= within <= LONGEST_WITHIN:
        place = node.entries["within"].place
        after.complain(
            place, f"`within` must be whole days, `2d` to `{LONGEST_WITHIN}d`: evidence is counted by the day"
        )
        return None
    wanted = days.value if isinstance(days, Leaf) else None
    if not isinstance(wanted, int) or isinstance(wanted, bool) or not 2 <= wanted <= within:
        once = f": leave `{AFTER}` out where the first day is enough" if wanted == 1 else ""
        after.complain(days.place, f"`days` must be a number of days, 2 to the {within} of `within`{once}")
        return None
    return After(wanted, within)


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
    expeditable = hold.flag("expeditable", otherwise=True)
    if not expeditable and "expires" not in hold:
        hold.complain(
            node.place, "a hold that is not `expeditable` must end by itself: give it `expires`, such as `72h`"
        )
        return None
    if not covered:
        return None
    closed_now = ",".join(sorted(covered))
    return Obligation("hold", closed_now, policy, rule, tuple(evidence), expires, expeditable=expeditable)
