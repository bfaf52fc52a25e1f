"""The few parts of DER (ITU-T X.690) that timestamps need: written as it must be, and read no other way."""

from typing import Final

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BITS: Final = 0x03
OCTETS: Final = 0x04
NULL: Final = 0x05
OID: Final = 0x06
TEXT: Final = 0x0C
TIME: Final = 0x18
SEQUENCE: Final = 0x30
SET: Final = 0x31
_MOST_DIGITS: Final = 64
"""Bytes of the longest number."""


class DerFault(ValueError):
    """Some bytes are not what they should be, or not written as DER is."""


def part(tag: int, *content: bytes) -> bytes:
    """Return one element."""
    body = b"".join(content)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def number(value: int) -> bytes:
    """Return an INTEGER that is not negative."""
    return part(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


class Reader:
    """Takes one element after the other from some bytes, which are all there is to it."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    def next_is(self, tag: int) -> bool:
        """Return whether the next element is there and has this tag."""
        return self._raw[self._at : self._at + 1] == bytes((tag,))

    def take(self, tag: int) -> bytes:
        """Return the content of the next element. Raise DerFault where it is another."""
        if not self.next_is(tag):
            found = f"tag {self._raw[self._at]:#04x}" if self._at < len(self._raw) else "the end"
            raise DerFault(f"tag {tag:#04x} should stand here, and it is {found}")
        return self._content()

    def inside(self, tag: int) -> "Reader":
        """Return a reader of the content of the next element."""
        return Reader(self.take(tag))

    def skip(self) -> None:
        """Pass over the next element, whatever it is."""
        if self._at >= len(self._raw):
            raise DerFault("an element should stand here, and it is the end")
        if self._raw[self._at] & 0x1F == 0x1F:
            raise DerFault("a tag of several bytes has no place here")
        self._content()

    def number(self) -> int:
        """Return the next element, an INTEGER that is not negative."""
        digits = self.take(INTEGER)
        short = len(digits) > 1 and digits[0] == 0 and digits[1] < 0x80
        if not 1 <= len(digits) <= _MOST_DIGITS or digits[0] >= 0x80 or short:
            raise DerFault("a number is negative, too long, or not written as short as it can be")
        return int.from_bytes(digits, "big")

    def end(self) -> None:
        """Raise DerFault where something is left."""
        if self._at != len(self._raw):
            raise DerFault(f"{len(self._raw) - self._at} bytes too many")

    def _content(self) -> bytes:
        raw, at = self._raw, self._at + 2
        if at > len(raw):
            raise DerFault("it ends inside an element")
        length = raw[at - 1]
        if length >= 0x80:
            size = length & 0x7F
            digits = raw[at : at + size]
            length = int.from_bytes(digits, "big")
            # An indefinite length has no digits; one that could be written shorter is not DER.
            if not 1 <= size <= 4 or len(digits) < size or digits[0] == 0 or length < 0x80:
                raise DerFault("a length is not written as DER is")
            at += size
        if at + length > len(raw):
            raise DerFault("it ends inside an element")
        self._at = at + length
        return raw[at : at + length]
