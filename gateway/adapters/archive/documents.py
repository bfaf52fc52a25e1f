"""Whole decision documents from what is kept apart: the ruling that decisions share, and what belongs to one alone."""

from hashlib import blake2b
from typing import Final, NamedTuple
from uuid import UUID

import orjson

from gateway.core.alike import matter_of
from gateway.core.decision import Document, decision_document, instant_text, request_line
from gateway.core.errors import StoreUnavailable
from gateway.core.search import Findable, findable
from gateway.core.terms import Outcome
from gateway.ports import RecordedDecision

_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The years 1 to 9999, microseconds since the epoch: the instants that have a text."""
_HOUR: Final = 3_600_000_000
_LONGEST_RULE: Final = 512
"""Characters of a rule's name as it is counted. What is longer no index of PostgreSQL would take."""
_DAY: Final = 24 * _HOUR


class Kind(NamedTuple):
    """What decisions that are counted together have in common."""

    operation: str
    outcome: str
    reason: str | None
    country: str | None
    """None where it was not certain."""
    bundle: str


class ReadRuling(NamedTuple):
    """What an archive needs to know of a ruling besides its bytes."""

    found_by: Findable
    kind: Kind
    erased: bool = False
    """Whether it is without personal data."""
    matter: bytes = bytes(16)
    """`core.alike.Alike.matter`; zeros where it cannot be read."""

    @property
    def refused_by(self) -> tuple[str, ...]:
        """The rules that its refusals are counted by; none where it refuses nothing."""
        return tuple(sorted({*map(_countable, self.found_by.rules)})) if self.kind.outcome == Outcome.DENY else ()


UNREADABLE: Final = ReadRuling(
    Findable(None, None, (), (), operation="", outcome="", reason=None, rules=(), bundle=""),
    Kind("", "", None, None, ""),
)
"""A ruling that something else wrote. Its decisions are kept, and found by id and time; taking goes on."""
_FAULTS: Final = (ValueError, TypeError, KeyError, AttributeError, OverflowError)


def read_ruling(document: bytes) -> ReadRuling:
    """Return what a ruling is found by and counted as; `UNREADABLE` where it is none."""
    erased = False
    try:
        ruling = orjson.loads(document)
        erased = bool(ruling.get("erased"))
        found_by = findable(ruling)
        country = (ruling["facts"] or {}).get("country")
        texts = (found_by.operation, found_by.outcome, found_by.bundle, found_by.reason or "", country or "")
        if not all(isinstance(text, str) for text in texts):
            return UNREADABLE._replace(erased=erased)
        matter = blake2b(orjson.dumps(matter_of(ruling)), digest_size=16).digest()
    except _FAULTS:
        return UNREADABLE._replace(erased=erased)
    asns = tuple(sorted({asn for asn in found_by.asns if 0 <= asn < 1 << 32}))
    found_by = found_by._replace(asns=asns, countries=tuple(sorted(set(found_by.countries))))
    kind = Kind(found_by.operation, found_by.outcome, found_by.reason, country or None, found_by.bundle)
    return ReadRuling(found_by, kind, erased, matter)


def whole_document(ruling: bytes, decision: RecordedDecision) -> Document:
    """Return the whole decision.

    Raise OverflowError where its instant has no text; ValueError, TypeError, KeyError or AttributeError where `ruling`
    is none.
    """
    return decision_document(
        orjson.loads(ruling),
        decision_id=str(UUID(bytes=decision.id)),
        at=instant_text(decision.at),
        request=request_line(decision.request),
        took_us=decision.took_us,
        auth_age=decision.auth_age,
    )


def archived_document(ruling: bytes, decision: RecordedDecision) -> Document:
    """Return the whole decision. Raise StoreUnavailable, naming it, where its ruling cannot be read."""
    # A clock that was stepped makes instants that have no text; the decision matters more than they do.
    decision = decision._replace(at=min(max(decision.at, _FIRST), _LAST))
    try:
        return whole_document(ruling, decision)
    except _FAULTS as fault:
        raise StoreUnavailable(
            f"decision {UUID(bytes=decision.id)} was written by something that does not know the format: {fault!r}"
        ) from None


def _countable(rule: str) -> str:
    # What something else wrote may hold a NUL, which is no text to PostgreSQL.
    return rule[:_LONGEST_RULE].replace("\0", "\ufffd")


def hour_of(at: int) -> int:
    """Return when the hour of an instant began, microseconds since the epoch."""
    return at - at % _HOUR


def day_of(at: int) -> int:
    """Return when the day of an instant began, UTC, microseconds since the epoch."""
    return at - at % _DAY


def id_of(text: str) -> bytes | None:
    """Return the 16 bytes of a decision id; None where the text is none."""
    try:
        return UUID(text).bytes
    except ValueError:
        return None
