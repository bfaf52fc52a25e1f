"""Decision ids: UUIDv7 (RFC 9562 §5.7), so that an id says when its decision was made."""

import os

_BYTES = tuple(bytes([number]) for number in range(256))
_DIGITS = tuple(b"%02x" % number for number in range(256))


class DecisionIds:
    """Draws ids. The 74 bits after the time are random, so that two processes do not draw the same.

    Ids drawn within one millisecond share them but for the last byte, which runs through its values from a random one:
    asking the system for every id would cost more than the rest of a repeated answer.
    """

    def __init__(self) -> None:
        self._millisecond = -1
        self._left = 0
        self._mask = 0
        self._raw = b""
        self._text = b""

    def draw(self, at: int) -> tuple[bytes, bytes]:
        """Return a new id for a decision made at `at` (microseconds since the epoch): its 16 bytes, and its text."""
        millisecond = at // 1000
        if millisecond != self._millisecond or not self._left:
            self._begin(millisecond)
        self._left -= 1
        last = self._left ^ self._mask
        return self._raw + _BYTES[last], self._text + _DIGITS[last]

    def _begin(self, millisecond: int) -> None:
        random = bytearray(os.urandom(10))
        self._mask = random.pop()
        random[0] = 0x70 | random[0] & 0x0F
        random[2] = 0x80 | random[2] & 0x3F
        self._millisecond = millisecond
        self._left = 256
        self._raw = millisecond.to_bytes(6, "big") + random
        text = self._raw.hex().encode("ascii")
        self._text = b"-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
