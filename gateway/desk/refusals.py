"""Why a step of a ticket is not made, in words that say what would be possible."""

from typing import Final

from gateway.core.account import Refused
from gateway.core.decision import instant_text
from gateway.core.permissions import Identity, Permission, Person, roles_with
from gateway.core.terms import Status
from gateway.desk.hold import too_early
from gateway.desk.kinds import KINDS, TicketKind
from gateway.desk.lifecycle import CLOSED, Act, Need, acts
from gateway.desk.record import End, Ticket

LONGEST_REASON: Final = 2000


def impossible(ticket: Ticket, act: Act) -> Refused:
    """Return why an act cannot be done with a ticket that stands there."""
    if ticket.state in CLOSED:
        when = "" if ticket.closed_at is None else f" since {instant_text(ticket.closed_at)}"
        return Refused("ticket", f"{ticket.id} is {ticket.state}{when}: nothing changes it any more")
    possible = tuple(str(one) for one in acts(ticket.state) if one not in {Act.RENEW, Act.EXPIRE})
    first = "; somebody must propose an end first" if act in {Act.APPROVE, Act.DECLINE} else ""
    return Refused("ticket", f"{ticket.id} is {ticket.state}: nobody can {act}{first}", possible)


def not_allowed(permission: str, who: Identity) -> Refused:
    """Return why somebody may not."""
    if not isinstance(who, Person):
        return Refused("permission", f"`{permission}` is for people: a service token can neither propose nor approve")
    roles = tuple(str(role) for role in roles_with(Permission(permission)))
    has = ", ".join(sorted(who.roles)) or "no role"
    return Refused("permission", f"`{permission}` takes the role {' or '.join(roles)}; {who.name} has {has}", roles)


def not_over(ticket: Ticket) -> Refused:
    """Return why a ticket does not end by itself yet."""
    if ticket.until is None:
        return Refused("ticket", f"{ticket.id} does not end by itself: two people must end it")
    if ticket.ends_at is None:
        return Refused("ticket", f"an uphold of {ticket.id} is proposed: it does not end before that is decided")
    return Refused("ticket", f"{ticket.id} ends at {instant_text(ticket.until)}")


def unmet(ticket: Ticket, need: Need) -> Refused:
    """Return what a step lacks."""
    match need:
        case Need.ANOTHER_PERSON:
            who = "" if ticket.proposal is None else f" by {ticket.proposal.by}"
            return Refused("proposal", f"this was proposed{who}: another person must approve or decline it")
        case Need.MAY_END:
            return too_early(ticket.hold)
        case _:
            lacking = ticket.missing
            return Refused("evidence", f"{ticket.id} cannot be released: it still needs {', '.join(lacking)}", lacking)


def unreasoned(reason: str) -> Refused | None:
    """Return what is wrong with a reason; None where it says something."""
    if reason.strip() and len(reason) <= LONGEST_REASON and reason.isprintable():
        return None
    return Refused("reason", f"say why, in one line of 1 to {LONGEST_REASON} characters")


def wrong_status(ticket: Ticket, outcome: End, to: Status | None) -> Refused | None:
    """Return what is wrong with the status that a proposal gives; None where nothing is."""
    ways_back = KINDS[ticket.kind].ways_back
    allowed = tuple(str(status) for status in Status if status in ways_back)
    if outcome is End.RELEASE and ways_back and to not in ways_back:
        return Refused(
            "status", f"the release of an `{ticket.kind}` says to which status: {', '.join(allowed)}", allowed
        )
    if to is not None and (outcome is End.UPHOLD or not ways_back):
        return Refused("status", f"only the release of an `{TicketKind.APPEAL}` gives a status")
    return None
