"""Rulings in few bytes: compressed with what rulings of the same bundle have in common."""

import sqlite3
import struct
import zlib
from collections.abc import Sequence
from typing import Any, Final

import orjson

_WINDOW: Final = -14
"""Raw deflate: neither header nor checksum, which the file's own pages make up for."""
_SAMPLES: Final = 8
_BYTES: Final = 12 * 1024
LONGEST: Final = 1 << 20
"""Bytes of a ruling: what the journal takes."""
_NOBODY: Final = "0.0.0.0"  # noqa: S104 - nobody's address, and nothing listens there
NONE: Final = 0
"""The dictionary of rulings that were packed before there was one."""


class Packer:
    """Packs rulings. A bundle gets its dictionary from the first stretch that brings enough rulings of it."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, Any]] = {}
        """The dictionary of each bundle, and a compressor that has read it, to copy."""

    def clear(self) -> None:
        """Look dictionaries up anew."""
        self._known.clear()

    def prepare(self, database: sqlite3.Connection, bundle: str, documents: Sequence[bytes]) -> None:
        """Find or make the dictionary of a bundle, of which these are rulings."""
        if bundle in self._known:
            return
        found = database.execute("SELECT id, bytes FROM dictionaries WHERE bundle = ?", (bundle,)).fetchone()
        if found is None and len(documents) >= _SAMPLES:
            # Spread over the stretch; deflate refers to what is near at the least cost, so the last sample counts most.
            samples = documents[:: max(1, len(documents) // _SAMPLES)][:_SAMPLES]
            common = b"".join(nobodys(sample)[: _BYTES // _SAMPLES] for sample in samples)
            insert = "INSERT INTO dictionaries (bundle, bytes) VALUES (?, ?)"
            found = (database.execute(insert, (bundle, common)).lastrowid, common)
        if found is not None:
            self._known[bundle] = (found[0], zlib.compressobj(6, zlib.DEFLATED, _WINDOW, zdict=found[1]))

    def pack(self, bundle: str, document: bytes) -> tuple[int, bytes]:
        """Return the number of the dictionary that was used, and the packed ruling."""
        number, compressor = self._known.get(bundle, (NONE, None))
        fresh = zlib.compressobj(6, zlib.DEFLATED, _WINDOW) if compressor is None else compressor.copy()
        return number, fresh.compress(document) + fresh.flush()


def nobodys(document: bytes) -> bytes:
    """Return a ruling with nobody's data in the place of somebody's: a dictionary stays when those are erased.

    Nothing where that cannot be told.
    """
    try:
        ruling = orjson.loads(document)
        client_ip = ruling["client_ip"]
        if client_ip["address"] is not None:
            client_ip["address"] = _NOBODY
        if "network" in client_ip:
            client_ip["network"] = "hmac:"
        client_ip["chain"] = [{**hop, "text": _NOBODY} for hop in client_ip["chain"]]
        if (ruling["facts"] or {}).get("account") is not None:
            ruling["facts"]["account"] = ""
        (ruling["unknown"] or {}).pop("account", None)
        if "ambiguous" in ruling:
            ruling["ambiguous"] = {**ruling["ambiguous"], "detail": ""}
        if "ticket_id" in ruling["reply"]:
            ruling["reply"]["ticket_id"] = None
        return orjson.dumps(ruling)
    except (ValueError, TypeError, KeyError, AttributeError):
        return b""


def unpack(dictionary: bytes | None, packed: bytes, most: int) -> bytes:
    """Return the ruling. Raise zlib.error where it is damaged or longer than `most` bytes."""
    reading = zlib.decompressobj(_WINDOW) if dictionary is None else zlib.decompressobj(_WINDOW, zdict=dictionary)
    document = reading.decompress(packed, most)
    if not reading.eof:
        raise zlib.error("it does not end where it should")
    return document


def pack_asns(asns: Sequence[int]) -> bytes:
    """Return the numbers of autonomous systems, four bytes each."""
    return struct.pack(f">{len(asns)}I", *asns)


def unpack_asns(packed: bytes) -> tuple[int, ...]:
    """Return the numbers that `pack_asns` packed."""
    return struct.unpack(f">{len(packed) // 4}I", packed)
