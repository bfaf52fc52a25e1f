"""The counts over all accounts as bytes, so that a gateway that starts need not count all logins again."""

import json
import struct
import zlib
from array import array
from typing import Final

from gateway.core.everyone import Global

_VERSION: Final = 1
_HEAD: Final = struct.Struct("<BIdQI")
_LARGEST: Final = 64 * 1024**2
"""Bytes that a copy is unpacked to at most."""
_FAST: Final = 1


class Copy:
    """What was counted at one moment; `packed` may run in another thread."""

    def __init__(self, everyone: Global) -> None:
        """Copy the counts: some milliseconds."""
        sketch = everyone._sketch  # noqa: SLF001 - its bytes are no part of the pure class yet
        counts = everyone._counts  # noqa: SLF001 - as above
        self._counts = json.dumps([list(one.items()) for one in counts] + [everyone._rest]).encode()  # noqa: SLF001 - as above
        self._rows = b"".join(row.tobytes() for row in (sketch._one, sketch._two, sketch._three))  # noqa: SLF001 - as above
        width = sketch._mask + 1  # noqa: SLF001 - as above
        self._head = _HEAD.pack(_VERSION, width, everyone.total, everyone.seen, len(self._counts))

    def packed(self) -> bytes:
        """Return the copy as bytes."""
        return zlib.compress(b"".join((self._head, self._counts, self._rows)), _FAST)


def unpacked(data: bytes) -> Global:
    """Return the counts that were packed. Raise ValueError for anything else."""
    try:
        unpacking = zlib.decompressobj()
        plain = unpacking.decompress(data, _LARGEST)
        version, width, total, seen, length = _HEAD.unpack_from(plain)
        if version != _VERSION or not unpacking.eof:
            raise ValueError(f"not the counts of version {_VERSION}")
        everyone = Global(width)
        *counts, rest = json.loads(plain[_HEAD.size : _HEAD.size + length])
        for known, told in zip(everyone._counts, counts, strict=True):  # noqa: SLF001 - as above
            known.update((value, float(weight)) for value, weight in told)
        everyone._rest[:] = [float(one) for one in rest]  # noqa: SLF001 - as above
        rows = memoryview(plain)[_HEAD.size + length :]
        if len(rows) != 3 * 8 * width or len(rest) != len(counts):
            raise ValueError("damaged counts: a part is missing")
        sketch = everyone._sketch  # noqa: SLF001 - as above
        for number, name in enumerate(("_one", "_two", "_three")):
            row = array("d")
            row.frombytes(rows[8 * width * number : 8 * width * (number + 1)])
            setattr(sketch, name, row)
    except (zlib.error, struct.error, TypeError, UnicodeDecodeError, json.JSONDecodeError) as fault:
        raise ValueError(f"damaged counts: {fault}") from fault
    everyone.total, everyone.seen = total, seen
    return everyone
