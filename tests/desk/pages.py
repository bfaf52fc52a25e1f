"""The parts of the pages on accounts and holds that are drawn from the code's tables.

Each stands between `<!-- drawn: NAME -->` and `<!-- end -->`. After a change of a table: `python -m tests.desk.pages`.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from gateway.core.account import TRANSITIONS, Author
from gateway.core.permissions import ROLES, Permission
from gateway.core.verification_changes import ROWS, TABLE, Consequence, Kind, Proof
from gateway.desk.diagram import account_diagram, revision_diagram, ticket_diagram
from gateway.desk.kinds import KINDS
from gateway.desk.lifecycle import TRANSITIONS as STEPS
from gateway.desk.lifecycle import Need
from gateway.desk.revision_lifecycle import REVISION_TRANSITIONS, RevisionNeed

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = (DOCS / "accounts.md", DOCS / "holds.md", DOCS / "publishing.md")
PART = re.compile(r"<!-- drawn: ([a-z-]+) -->\n(.*?)<!-- end -->", re.DOTALL)
_HOUR = 3600 * 1_000_000


def parts() -> dict[str, str]:
    """Return every drawn part by its name."""
    return {
        "account-diagram": _mermaid(account_diagram()),
        "account-table": _account_table(),
        "roles": _roles(),
        "ticket-diagram": _mermaid(ticket_diagram()),
        "ticket-table": _ticket_table(),
        "kinds": _kinds(),
        "revision-diagram": _mermaid(revision_diagram()),
        "revision-table": _revision_table(),
        "changes": _changes(),
        "rows": _rows(),
    }


def drawn(page: Path) -> dict[str, str]:
    """Return the parts that stand in a page."""
    return {name: text.rstrip("\n") for name, text in PART.findall(page.read_text())}


def write() -> None:
    """Draw every part anew where it stands."""
    made = parts()
    for page in PAGES:
        page.write_text(
            PART.sub(lambda found: f"<!-- drawn: {found[1]} -->\n{made[found[1]]}\n<!-- end -->", page.read_text())
        )


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"|{'|'.join('---' if cell == '---' else f' {cell} ' for cell in row)}|" for row in lines)


def _mermaid(text: str) -> str:
    return f"```mermaid\n{text}\n```"


def _code(words: Iterable[object]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _account_table() -> str:
    return _table(
        ("from", "to", "who", "evidence"),
        (
            (
                f"`{old}`",
                f"`{new}`",
                "anyone" if transition.by == set(Author) else ", ".join(sorted(transition.by)),
                "yes" if transition.evidence else "no",
            )
            for old, ways in TRANSITIONS.items()
            for new, transition in ways.items()
        ),
    )


def _roles() -> str:
    return _table(
        ("permission", *(f"`{role}`" for role in ROLES)),
        (
            (f"`{permission}`", *("yes" if permission in held else "" for held in ROLES.values()))
            for permission in Permission
        ),
    )


def _ticket_table() -> str:
    return _table(
        ("from", "act", "to", "who", "needs"),
        (
            (
                f"`{state}`",
                way.act,
                f"`{way.to}`",
                f"`{way.by}`" if way.by else "the gateway",
                "; ".join(need for need in Need if need in way.needs),
            )
            for state, ways in STEPS.items()
            for way in ways
        ),
    )


def _revision_table() -> str:
    return _table(
        ("from", "act", "to", "who", "needs"),
        (
            (
                f"`{state}`",
                str(way.act).replace("_", " "),
                f"`{way.to}`",
                f"`{way.by}`" if way.by else "the gateway",
                "; ".join(need for need in RevisionNeed if need in way.needs),
            )
            for state, ways in REVISION_TRANSITIONS.items()
            for way in ways
        ),
    )


def _kinds() -> str:
    return _table(
        ("kind", "evidence", "answer owed within", "released", "upheld"),
        (
            (f"`{kind}`", _code(rules.evidence) or "what the rule names", f"{rules.owed_s // 3600} h", rules.release,
             rules.uphold)
            for kind, rules in KINDS.items()
        ),
    )  # fmt: skip


def _cell(cell: Consequence) -> str:
    words = [f"{cell.length // _HOUR} h" if cell.length else "no hold"]
    if cell.people:
        words.append("then until two people release it")
    if cell.probation:
        words.append(f"the new one on probation for {cell.probation // _HOUR} h")
    if cell.revokes:
        words.append("sessions end")
    return ", ".join(words)


def _changes() -> str:
    return _table(
        ("kind of change", "with an old factor on a known device", "by recovery, or from where nobody knows"),
        ((f"`{kind}`", _cell(cells[Proof.OLD_FACTOR]), _cell(cells[Proof.RECOVERY])) for kind, cells in TABLE.items()),
    )


def _rows() -> str:
    def named(kind: Kind | None) -> str:
        return f"`{kind}`" if kind else "none"

    return _table(
        ("method", *(f"`{change}`" for change in next(iter(ROWS.values())))),
        (
            (f"`{method}`", *(named(changes[change]) for change in next(iter(ROWS.values()))))
            for method, changes in ROWS.items()
        ),
    )


if __name__ == "__main__":
    write()
