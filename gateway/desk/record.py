"""The record of a ticket: what it is at one moment, and the same as JSON."""

from collections.abc import Mapping
from enum import StrEnum, unique
from typing import Any, NamedTuple

from gateway.core.terms import Operation, Operations, Status
from gateway.desk.evidence import Evidence, IdentityResult, missing
from gateway.desk.hold import Hold
from gateway.desk.kinds import TicketKind
from gateway.desk.lifecycle import TicketState


@unique
class End(StrEnum):
    """How a ticket is proposed to end."""

    RELEASE = "release"
    UPHOLD = "uphold"


class Proposal(NamedTuple):
    """What one person proposed and another has to decide."""

    by: str
    at: int
    outcome: End
    reason: str
    to: Status | None = None
    """The status that an appeal is to give back."""


class Ticket(NamedTuple):
    """One ticket. Instants are microseconds since the epoch."""

    id: str
    account: str
    kind: TicketKind
    cause: str
    """What opened it (`core.obligations.cause_of`). While it is open, the same cause opens no other."""
    operations: Operations
    """What is held for it; empty where it is work alone."""
    evidence_required: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    state: TicketState
    opened_at: int
    since: int
    """When its clock last started: evidence from before does not count."""
    until: int | None
    """When it ends by itself; None where people must end it."""
    earliest: int | None
    """The instant before which nobody may release it; None where people may at any time."""
    decision_id: str | None
    about: str
    """What triggered it, as digests: network, device, destination."""
    proposal: Proposal | None = None
    closed_at: int | None = None
    closed_by: str | None = None
    """The person whose approval ended it; None where its time was over."""
    version: int = 1
    """Counts the steps: a step is stored only over the version that it was made of."""

    @property
    def expeditable(self) -> bool:
        """Whether people may release it before its time."""
        return self.earliest is None

    @property
    def missing(self) -> tuple[str, ...]:
        """The evidence that is still required."""
        return missing(self.evidence_required, self.evidence, self.since)

    @property
    def ends_at(self) -> int | None:
        """When it ends by itself as it stands: not while an uphold is proposed."""
        return None if self.proposal is not None and self.proposal.outcome is End.UPHOLD else self.until

    @property
    def hold(self) -> Hold:
        """Its clock."""
        return Hold(self.operations, self.since, self.until, self.earliest)


def ticket_document(ticket: Ticket) -> dict[str, Any]:
    """Return the ticket as a JSON object that `ticket_of` reads as the same ticket."""
    proposal = ticket.proposal
    return {
        **ticket._asdict(),
        "operations": sorted(map(str, ticket.operations)),
        "evidence_required": list(ticket.evidence_required),
        "evidence": [
            {**piece._asdict(), "result": None if piece.result is None else piece.result._asdict()}
            for piece in ticket.evidence
        ],
        "proposal": None if proposal is None else proposal._asdict(),
    }


def ticket_of(document: Mapping[str, Any]) -> Ticket:
    """Return the ticket of such an object. Raise KeyError, TypeError or ValueError for any other."""
    proposal = document["proposal"]
    return Ticket(
        **{
            **document,
            "kind": TicketKind(document["kind"]),
            "state": TicketState(document["state"]),
            "operations": frozenset(map(Operation, document["operations"])),
            "evidence_required": tuple(document["evidence_required"]),
            "evidence": tuple(
                Evidence(**{**piece, "result": None if piece["result"] is None else IdentityResult(**piece["result"])})
                for piece in document["evidence"]
            ),
            "proposal": None
            if proposal is None
            else Proposal(
                **{
                    **proposal,
                    "outcome": End(proposal["outcome"]),
                    "to": None if proposal["to"] is None else Status(proposal["to"]),
                }
            ),
        }
    )
