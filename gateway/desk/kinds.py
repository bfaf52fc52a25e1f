"""Kinds of tickets: what each asks of the customer, how long it may wait for us, and what its two ends do."""

from collections.abc import Iterable, Mapping
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final, NamedTuple

from gateway.core.terms import Status
from gateway.desk.evidence import EvidenceKind

_HOUR_S: Final = 3600


@unique
class TicketKind(StrEnum):
    """What a ticket is about."""

    UNFAMILIAR_LOGIN = "unfamiliar_login"
    """Somebody came from an address or with a device that the account does not know."""
    VERIFICATION_CHANGED = "verification_changed"
    WITHDRAWAL_REVIEW = "withdrawal_review"
    APPEAL = "appeal"
    """A customer who is not where they were asks to be let back."""
    REVIEW = "review"
    """Whatever else a rule asks people to look at."""


class KindRules(NamedTuple):
    """What a kind of ticket asks for and leads to."""

    evidence: tuple[str, ...]
    owed_s: int
    """How long the customer may wait for an answer, seconds."""
    release: str
    """What a release does, in words."""
    uphold: str
    familiar: bool = False
    """Whether a release makes known what the ticket is about: network, device, destination."""
    restricts: bool = False
    """Whether to uphold it restricts the account and ends its sessions. What upholds a hold always does."""
    ways_back: frozenset[Status] = frozenset()
    """The statuses that a release may give."""


_SELFIE: Final = (EvidenceKind.SELFIE_WITH_DOCUMENT, EvidenceKind.SIGNED_NOTE)
_FAMILIAR: Final = "the hold ends; network, device and destination become familiar"
_RESTRICTED: Final = "the account becomes `restricted`, its sessions end"

KINDS: Final[Mapping[TicketKind, KindRules]] = MappingProxyType(
    {
        TicketKind.UNFAMILIAR_LOGIN: KindRules(
            _SELFIE, 24 * _HOUR_S, _FAMILIAR, _RESTRICTED, familiar=True, restricts=True
        ),
        TicketKind.VERIFICATION_CHANGED: KindRules(
            (*_SELFIE, EvidenceKind.OLD_CHANNEL_CONFIRMATION),
            24 * _HOUR_S,
            _FAMILIAR,
            _RESTRICTED,
            familiar=True,
            restricts=True,
        ),
        TicketKind.WITHDRAWAL_REVIEW: KindRules(
            (EvidenceKind.SELFIE_WITH_DOCUMENT,), 24 * _HOUR_S, _FAMILIAR, _RESTRICTED, familiar=True, restricts=True
        ),
        TicketKind.APPEAL: KindRules(
            _SELFIE,
            72 * _HOUR_S,
            "the account gets the status that was proposed",
            "the account stays where it is",
            ways_back=frozenset({Status.OPEN, Status.EXIT_ONLY, Status.FLAGGED, Status.RESTRICTED}),
        ),
        TicketKind.REVIEW: KindRules(
            (), 72 * _HOUR_S, "the hold ends, where there is one", f"where there is a hold: {_RESTRICTED}"
        ),
    }
)
"""Every kind of ticket."""


def kind_of(category: str | None) -> TicketKind:
    """Return the kind of ticket that a rule's category names; one of the rule's own is a review."""
    if category is None:
        return TicketKind.WITHDRAWAL_REVIEW
    return TicketKind(category) if category in tuple(TicketKind) else TicketKind.REVIEW


def required(kind: TicketKind, more: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the evidence that a ticket asks for: what its kind does, and more. A rule takes nothing away."""
    return tuple(dict.fromkeys([str(one) for one in (*KINDS[kind].evidence, *more)]))
