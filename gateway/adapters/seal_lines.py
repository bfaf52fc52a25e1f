"""The lines that prove segments: what each says, and its exact bytes.

The format is in `docs/journal.md`, the reasons for it in `docs/decisions/0011-proof.md`.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson

from gateway.adapters.signing import Keys, Signer, signed

CHECKPOINT: Final = "checkpoint"
SEALED: Final = "sealed"
ABANDONED: Final = "abandoned"
"""The disk failed while the segment was written: what is behind the last seal may be lost."""
FINAL: Final = frozenset({SEALED, ABANDONED})
START: Final = "0" * 64
"""What the first line of a chain names as the line before it."""
MAX_LINE: Final = 16 * 1024

_BEGIN: Final = b'{"seal":'
_MIDDLE: Final = b',"signature":"'
_END: Final = b'"}'
_SIGNATURE: Final = 128


class SealFault(ValueError):
    """A line is not one that this code wrote."""


class Seal(NamedTuple):
    """One line: a stretch of one segment, and what came before it."""

    worker: str
    line: int
    """From 1, without gaps, over all segments of the worker."""
    kind: str
    segment: int
    start: int
    end: int
    first: int
    """The sequence number of the first decision of the stretch: 1 is the worker's first."""
    last: int
    """That of the last one; `first - 1` where the stretch holds none."""
    latest: int
    """The latest decision up to `end`, microseconds since the epoch."""
    digest: str
    """SHA-256 of the stretch. Of the header, only what never changes (`PROGRESS_AT` bytes) is in it."""
    previous: str
    """SHA-256 of the line before this one."""
    at: int
    """When the line was written, microseconds since the epoch."""
    key: str
    reclaimed: bool = False
    """Whether another process did it, after the writer had been killed."""
    beside: Mapping[str, tuple[int, int, str]] = MappingProxyType({})
    """The newest line of other chains in the folder: its number, its last decision, its digest."""


class Removal(NamedTuple):
    """One line of what was removed on purpose."""

    line: int
    worker: str
    segments: tuple[int, int]
    lines: tuple[int, int]
    """The first and last line of the worker's chain that went with them; (1, 0) where nothing was sealed."""
    first: int
    last: int
    """The sequence numbers of the first and the last decision that went."""
    seal: str
    """The digest of the last of those lines."""
    why: str
    previous: str
    at: int
    key: str
    kind: str = "removed"


def pack(line: Seal | Removal, signer: Signer) -> bytes:
    """Return the line as it stands in the file, without its newline."""
    body = _body(line)
    return b"".join((_BEGIN, body, _MIDDLE, signer.sign(body).hex().encode(), _END))


def read_seal(raw: bytes) -> Seal:
    """Return what a line says, unchecked. Raise SealFault where no other bytes could say the same."""
    fields = _fields(raw)
    try:
        beside = {name: (int(one[0]), int(one[1]), str(one[2])) for name, one in fields.pop("beside", {}).items()}
        seal = Seal(**fields, beside=beside)
        numbers = (seal.line, seal.segment, seal.start, seal.end, seal.first, seal.last, seal.latest, seal.at)
        texts = (seal.worker, seal.kind, seal.digest, seal.previous, seal.key)
        fine = {*map(type, numbers)} == {int} and {*map(type, texts)} == {str} and 0 <= seal.start <= seal.end
    except (TypeError, ValueError, AttributeError, IndexError) as fault:
        raise SealFault(f"it is no seal: {fault}") from None
    if not fine or _body(seal) != signed_part(raw):
        raise SealFault("it is not written as seals are")
    return seal


def read_removal(raw: bytes) -> Removal:
    """Return what a line of `removed.seals` says, unchecked. Raise SealFault."""
    try:
        fields = _fields(raw)
        one = Removal(**fields | {name: tuple(map(int, fields[name])) for name in ("segments", "lines")})
        fine = {len(fields[name]) for name in ("segments", "lines")} == {2} and isinstance(fields["line"], int)
    except (TypeError, ValueError, KeyError) as fault:
        raise SealFault(f"it is no note of a removal: {fault}") from None
    if not fine or _body(one) != signed_part(raw):
        raise SealFault("it is not written as notes of removals are")
    return one


def signed_part(raw: bytes) -> bytes:
    """Return the bytes of a line that its signature is over."""
    return raw[len(_BEGIN) : -(len(_MIDDLE) + _SIGNATURE + len(_END))]


def signature_of(raw: bytes) -> bytes:
    """Return the signature of a line that could be read."""
    return bytes.fromhex(raw[-(_SIGNATURE + len(_END)) : -len(_END)].decode())


def is_signed(raw: bytes, key: str, keys: Keys) -> bool:
    """Return whether a line that could be read was signed by the key with this id, which is among those known."""
    return signed(keys, key, signature_of(raw), signed_part(raw))


def digest_of(raw: bytes) -> str:
    """Return what the next line calls this one."""
    return sha256(raw).hexdigest()


def _fields(raw: bytes) -> dict[str, Any]:
    middle = len(raw) - len(_MIDDLE) - _SIGNATURE - len(_END)
    framed = raw.startswith(_BEGIN) and raw.endswith(_END) and raw[middle : middle + len(_MIDDLE)] == _MIDDLE
    if not framed or not re.fullmatch(rb"[0-9a-f]{128}", raw[middle + len(_MIDDLE) : -len(_END)]):
        raise SealFault("it is not written as lines here are")
    try:
        fields = orjson.loads(raw[len(_BEGIN) : middle])
    except orjson.JSONDecodeError:
        raise SealFault("it cannot be read") from None
    if not isinstance(fields, dict):
        raise SealFault("it cannot be read")
    return fields


def _body(line: Seal | Removal) -> bytes:
    fields = line._asdict()
    for name in ("reclaimed", "beside"):
        if not fields.get(name, True):
            del fields[name]
        elif name == "beside" and name in fields:
            fields[name] = dict(fields[name])
    try:
        return orjson.dumps(fields)
    except orjson.JSONEncodeError as fault:
        raise SealFault(f"it cannot be written: {fault}") from None
