"""Timestamps of RFC 3161: the request for one, and what an authority answered.

What is checked is that the answer belongs to the request. The authority's signature and certificates are checked with
`openssl ts -verify`; `docs/journal.md` has the command.
"""

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

from gateway.adapters.der import (
    BITS,
    BOOLEAN,
    NULL,
    OCTETS,
    OID,
    SEQUENCE,
    SET,
    TEXT,
    TIME,
    DerFault,
    Reader,
    number,
    part,
)

STAMPS: Final = "timestamps"
"""The folder of timestamps in the journal's own: `<worker>-<line>.seal` is what was stamped, `.tsr` the answer."""
MOST_ANSWER: Final = 64 * 1024
"""No answer is longer: a token has a few certificates, 2 to 10 KB."""

_SHA256: Final = bytes.fromhex("608648016503040201")
_SIGNED_DATA: Final = bytes.fromhex("2a864886f70d010702")
_TST_INFO: Final = bytes.fromhex("2a864886f70d0109100104")
_TSA, _EXTENSIONS, _EXPLICIT, _CRLS = 0xA0, 0xA1, 0xA0, 0xA1
_GRANTED: Final = {0, 1}
_WHY: Final = {
    0: "it does not know SHA-256",
    2: "it does not take such requests",
    5: "it could not read the request",
    14: "its clock is out of order",
    15: "it does not stamp under that policy",
    16: "it does not know an extension",
    17: "it has no room or time for more",
    25: "it is out of order",
}
"""PKIFailureInfo, RFC 3161, section 2.4.2."""
_INSTANT: Final = re.compile(rb"(\d{14})(?:\.(\d{0,8}[1-9]))?Z")


class TimestampFault(ValueError):
    """An answer is no timestamp for the request."""


class Stamp(NamedTuple):
    """What an authority says of a digest."""

    at: int
    """When it saw the digest, microseconds since the epoch."""
    serial: int


def request(digest: bytes, nonce: int) -> bytes:
    """Return the request to stamp a SHA-256, with the authority's certificate in the answer."""
    certificate_too = part(BOOLEAN, b"\xff")
    return part(SEQUENCE, number(1), _imprint(digest), number(nonce), certificate_too)


def read_answer(answer: bytes, digest: bytes, nonce: int | None) -> Stamp:
    """Return the stamp. Raise TimestampFault where there is none, or it is not for this digest and this nonce.

    Without a nonce any will do: that of a stored answer is not known any more.
    """
    if len(answer) > MOST_ANSWER:
        raise TimestampFault(f"it has {len(answer):,} bytes; {MOST_ANSWER:,} at most")
    try:
        return _stamp(answer, digest, nonce)
    except DerFault as fault:
        raise TimestampFault(f"it cannot be read: {fault}") from None


def _imprint(digest: bytes) -> bytes:
    return part(SEQUENCE, part(SEQUENCE, part(OID, _SHA256), part(NULL)), part(OCTETS, digest))


def _stamp(answer: bytes, digest: bytes, nonce: int | None) -> Stamp:
    whole = Reader(answer)
    response = whole.inside(SEQUENCE)
    whole.end()
    _check_status(response.inside(SEQUENCE))
    token = response.inside(SEQUENCE)
    response.end()
    info = Reader(_signed_content(token))
    fields = info.inside(SEQUENCE)
    info.end()
    if fields.number() != 1:
        raise TimestampFault("its token has a version that nobody knows")
    fields.take(OID)
    _check_imprint(fields.inside(SEQUENCE), digest)
    serial = fields.number()
    at = _instant(fields.take(TIME))
    for tag in (SEQUENCE, BOOLEAN):  # its accuracy, and whether its stamps are in order
        if fields.next_is(tag):
            fields.take(tag)
    answered = fields.number() if not (fields.next_is(_TSA) or fields.next_is(_EXTENSIONS) or _ended(fields)) else None
    for tag in (_TSA, _EXTENSIONS):
        if fields.next_is(tag):
            fields.take(tag)
    fields.end()
    if nonce is not None and answered != nonce:
        raise TimestampFault("it answers another request: its nonce is not the one that was sent")
    return Stamp(at, serial)


def _ended(fields: Reader) -> bool:
    try:
        fields.end()
    except DerFault:
        return False
    return True


def _check_status(status: Reader) -> None:
    value = status.number()
    if value in _GRANTED:
        return
    words: list[str] = []
    if status.next_is(SEQUENCE):
        texts = status.inside(SEQUENCE)
        while texts.next_is(TEXT) and len(words) < 4:
            words.append(repr(texts.take(TEXT)[:200].decode("utf-8", "replace")))
    if status.next_is(BITS):
        bits = status.take(BITS)[1:5]
        words += [why for bit, why in _WHY.items() if bit // 8 < len(bits) and bits[bit // 8] & 0x80 >> bit % 8]
    raise TimestampFault(f"the authority refuses, status {value}" + "".join(f", {one}" for one in words))


def _signed_content(token: Reader) -> bytes:
    """Return what a ContentInfo of signed data holds (RFC 5652, section 5.1): a TSTInfo, with somebody's signature."""
    if token.take(OID) != _SIGNED_DATA:
        raise TimestampFault("its token is not signed")
    explicit = token.inside(_EXPLICIT)
    token.end()
    signed = explicit.inside(SEQUENCE)
    explicit.end()
    signed.number()
    signed.take(SET)
    encapsulated = signed.inside(SEQUENCE)
    if encapsulated.take(OID) != _TST_INFO:
        raise TimestampFault("what its token signs is no timestamp")
    content = encapsulated.inside(_EXPLICIT)
    encapsulated.end()
    info = content.take(OCTETS)
    content.end()
    for tag in (_EXPLICIT, _CRLS):  # certificates, and lists of revoked ones
        if signed.next_is(tag):
            signed.take(tag)
    signers = signed.inside(SET)
    signed.end()
    signers.take(SEQUENCE)
    signers.end()
    return info


def _check_imprint(imprint: Reader, digest: bytes) -> None:
    algorithm = imprint.inside(SEQUENCE)
    known = algorithm.take(OID) == _SHA256
    if algorithm.next_is(NULL):
        algorithm.take(NULL)
    algorithm.end()
    stamped = imprint.take(OCTETS)
    imprint.end()
    if not known or stamped != digest:
        raise TimestampFault("what it stamps is something else")


def _instant(raw: bytes) -> int:
    found = _INSTANT.fullmatch(raw)
    if found is None:
        raise DerFault("its time is not written as DER is")
    try:
        at = datetime.strptime(found[1].decode(), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise DerFault("its time is none") from None
    return int(at.timestamp()) * 1_000_000 + int((found[2] or b"").ljust(6, b"0")[:6])
