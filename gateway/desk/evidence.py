"""Evidence: what a customer shows, and what each kind of ticket asks for before a release may be proposed."""

from collections.abc import Iterable, Mapping
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final, NamedTuple

LEAST_FACE_MATCH: Final = 0.85
"""The least score of a comparison of faces that counts, 0 to 1."""
MOST_PIECES: Final = 50
"""Pieces of evidence on one ticket."""


@unique
class EvidenceKind(StrEnum):
    """What a piece of evidence is. A rule may ask for others, by a name of its own."""

    SELFIE_WITH_DOCUMENT = "selfie_with_document"
    """A photograph of the customer holding the identity document."""
    SIGNED_NOTE = "signed_note"
    """A note in the customer's hand with date and purpose, on the same photograph or another."""
    OLD_CHANNEL_CONFIRMATION = "old_channel_confirmation"
    """A confirmation by a channel that was there before the change: the old telephone, the old mailbox."""
    IDENTITY_RESULT = "identity_result"
    """The signed result of an identity-verification provider."""


class IdentityResult(NamedTuple):
    """What an identity-verification provider found."""

    document: bool
    """Whether the document is genuine."""
    liveness: bool
    """Whether a living person was there."""
    face_match: float
    """How like the person is to the document's photograph, 0 to 1."""
    reference: str
    """The provider's."""

    @property
    def passed(self) -> bool:
        """Whether all of it speaks for the customer."""
        return self.document and self.liveness and self.face_match >= LEAST_FACE_MATCH


class Evidence(NamedTuple):
    """One piece of evidence. What is in it is kept elsewhere, and never here."""

    id: str
    kind: str
    at: int
    """When it came, microseconds since the epoch."""
    by: str
    """Who attached it: a person, or the service that carried it."""
    digest: str | None = None
    """SHA-256 of the file, in hexadecimal; None where there is none."""
    size: int | None = None
    media_type: str | None = None
    result: IdentityResult | None = None


SATISFIED_BY: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        EvidenceKind.SELFIE_WITH_DOCUMENT: frozenset({EvidenceKind.SELFIE_WITH_DOCUMENT, EvidenceKind.IDENTITY_RESULT}),
    }
)
"""What counts for a kind besides itself alone. A result that did not pass counts for nothing."""


def counts(piece: Evidence, since: int) -> bool:
    """Return whether a piece proves anything. From before `since` none does: what it shows may have changed hands."""
    passed = piece.result is not None and piece.result.passed
    return piece.at >= since and (passed or (piece.result is None and piece.kind != EvidenceKind.IDENTITY_RESULT))


def missing(required: Iterable[str], evidence: Iterable[Evidence], since: int) -> tuple[str, ...]:
    """Return what is still required."""
    there = {piece.kind for piece in evidence if counts(piece, since)}
    return tuple(kind for kind in required if not there & SATISFIED_BY.get(kind, frozenset({kind})))
