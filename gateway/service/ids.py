"""Decision ids: UUIDv7 (RFC 9562 §5.7), so that an id says when its decision was made."""

import os

_TAILS = 256
"""How many random tails are drawn from the system at once: one call of it costs more than all the rest."""


class DecisionIds:
    """Draws ids. 74 bits of each are random, so an id neither tells how busy the gateway is nor can be guessed."""

    def __init__(self) -> None:
        self._tails: list[tuple[bytes, bytes]] = []
        self._millisecond = -1
        self._raw = b""
        self._text = b""

    def draw(self, at: int) -> tuple[bytes, bytes]:
        """Return a new id for a decision made at `at` (microseconds since the epoch): its 16 bytes, and its text."""
        if not self._tails:
            self._refill()
        millisecond = at // 1000
        if millisecond != self._millisecond:
            self._raw = millisecond.to_bytes(6, "big")
            text = self._raw.hex().encode("ascii")
            self._text = b"%b-%b-" % (text[:8], text[8:])
            self._millisecond = millisecond
        raw, text = self._tails.pop()
        return self._raw + raw, self._text + text

    def _refill(self) -> None:
        pool = bytearray(os.urandom(_TAILS * 10))
        for start in range(0, len(pool), 10):
            pool[start] = 0x70 | pool[start] & 0x0F
            pool[start + 2] = 0x80 | pool[start + 2] & 0x3F
            raw = bytes(pool[start : start + 10])
            text = raw.hex()
            self._tails.append((raw, f"{text[:4]}-{text[4:8]}-{text[8:]}".encode("ascii")))
