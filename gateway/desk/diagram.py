"""Diagrams of the lifecycles, drawn from their tables: what the pages show is what the code does."""

from collections.abc import Iterable
from typing import NamedTuple

from gateway.core.account import NARROWER, TRANSITIONS, Author
from gateway.desk.lifecycle import CLOSED, TicketState
from gateway.desk.lifecycle import TRANSITIONS as STEPS
from gateway.desk.revision_lifecycle import REVISION_TRANSITIONS, RevisionState


class Arrow(NamedTuple):
    """One way from one state to another, or to itself."""

    start: str
    end: str
    label: str


def mermaid(first: Iterable[str], arrows: Iterable[Arrow], final: Iterable[str]) -> str:
    """Return a state diagram as Mermaid reads it. Arrows between the same two states share their line."""
    labels: dict[tuple[str, str], list[str]] = {}
    for arrow in arrows:
        known = labels.setdefault((arrow.start, arrow.end), [])
        if arrow.label not in known:
            known.append(arrow.label)
    lines = ["stateDiagram-v2", *(f"    [*] --> {state}" for state in first)]
    lines += [f"    {start} --> {end}: {' / '.join(names)}" for (start, end), names in labels.items()]
    lines += [f"    {state} --> [*]" for state in final]
    return "\n".join(lines)


def ticket_arrows() -> tuple[Arrow, ...]:
    """Return every step of a ticket."""
    return tuple(Arrow(state, way.to, way.act) for state, ways in STEPS.items() for way in ways)


def ticket_diagram() -> str:
    """Return the life of a ticket. One that asks for no evidence begins as evidenced."""
    return mermaid(
        (TicketState.OPEN, TicketState.EVIDENCED), ticket_arrows(), (state for state in TicketState if state in CLOSED)
    )


def revision_arrows() -> tuple[Arrow, ...]:
    """Return every step of a revision of the policies."""
    return tuple(
        Arrow(state, way.to, str(way.act).replace("_", " "))
        for state, ways in REVISION_TRANSITIONS.items()
        for way in ways
    )


def revision_diagram() -> str:
    """Return the life of a revision. The first of an empty store begins as active."""
    ends = (state for state, ways in REVISION_TRANSITIONS.items() if not ways)
    return mermaid((RevisionState.PROPOSED, RevisionState.ACTIVE), revision_arrows(), ends)


def account_arrows() -> tuple[Arrow, ...]:
    """Return every change of an account's status, with who may make it over the admin API or by a rule."""
    return tuple(
        Arrow(old, new, _who(transition.by)) for old, ways in TRANSITIONS.items() for new, transition in ways.items()
    )


def account_diagram() -> str:
    """Return where an account may stand. No status is final: there is a way back from each."""
    return mermaid(NARROWER[:1], account_arrows(), ())


def _who(by: frozenset[Author]) -> str:
    if Author.POLICY in by:
        return "a rule, one person" if Author.SUPPORT in by else "a rule, an editor"
    return "two people"
