"""How a ruling lies in PostgreSQL: the terms it is found by, and its document, compressed."""

import zlib
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

from gateway.adapters.archive.postgres_schema import Connection
from gateway.core.search import Findable, Search
from gateway.core.terms import Outcome

Key = tuple[int, bytes]
"""The epoch and the digest of a ruling: what it is known by."""
_SEPARATOR: Final = "\x1f"
_ADD: Final = """
    INSERT INTO rulings (epoch, kind, erased, digest, address, terms, document, matter)
    SELECT epoch, kind, erased, digest, address, string_to_array(terms, chr(31)), document, matter
    FROM unnest(
        $1::integer[], $2::integer[], $3::boolean[], $4::bytea[], $5::bytea[], $6::text[], $7::bytea[], $8::bytea[]
    ) AS new (epoch, kind, erased, digest, address, terms, document, matter)
    ON CONFLICT (epoch, digest) DO UPDATE SET epoch = excluded.epoch
    RETURNING epoch, digest, number
"""

_LONGEST: Final = 200
"""Characters of a term. PostgreSQL takes no index entry of more than a third of a page."""
_WORDS: Final = (
    b'"unknown":{"subdivision":{"one_of":[],"why":""}},"ambiguous":{"why":"","detail":""},"anything":true,'
    b'"how":"peer","how":"header","role":"peer","role":"trusted","role":"client","IPv4","IPv6","deposit","security",'
    b'"account":"none","status":"none","credential":"api_key","verification":"basic","institutional","residence":null,'
    b'"jurisdiction-blocked","jurisdiction-exit","sanctioned-country","effect":"limit","effect":"require","challenge",'
    b'"withdraw_only","support_only","read_only","reduce_only","none","outcome":"deny","outcome":"challenge",'
    b'"bundle":"0123456789abcdef","editions":["country 20","asn 20"],"operation":"withdraw","operation":"trade.spot",'
    b'"operation":"login","operation":"view","token":"absent","token":"expired","country":"US","continent":"NA",'
    b'{"client_ip":{"address":"203.0.113.7","reason":null,"how":"rightmost","chain":[{"text":"203.0.113.7","role":'
    b'"client"}]},"operation":"view","facts":{"operation":"view","country":"PT","subdivision":null,"continent":"EU",'
    b'"asn":64500,"network":[],"credential":"session","token":"valid","assurance":1,"auth_age":60,"account":"",'
    b'"status":"open","flags":[],"verification":"full","documents":["PT"],"residence":"PT","nationality":"PT",'
    b'"holds":[],"signals":[],"risk":"low","amount_usd":null,"destination":null,"withdrawn_today_usd":null},'
    b'"unknown":{},"bundle":"","editions":[],"verdict":{"outcome":"allow","access":"full","operations":["deposit",'
    b'"login","security","support","trade.copy","trade.futures","trade.spot","transfer","unclassified","view",'
    b'"withdraw"],"by":[{"policy":"","rule":"","effect":"grant","reason":"","basis":"","uncertain":false}],'
    b'"nothing_granted":false,"reason":null,"challenge":null,"uncertain":[],"obligations":[],"outage":false},'
    b'"reply":{"status":200,"reason":null}}'
)
"""What most documents say, so that they need not: the most usual words last, as zlib wants them. Part of the format."""
_LARGEST: Final = 1 << 24


class NewRuling(NamedTuple):
    """A ruling to be kept."""

    epoch: int
    digest: bytes
    kind: int
    found_by: Findable
    document: bytes
    erased: bool
    matter: bytes


async def add_rulings(connection: Connection, rulings: Sequence[NewRuling]) -> Mapping[Key, int]:
    """Return the number of each, having added what was not there. In the order of their keys, no two alike."""
    # One may be there in several epochs: what costs is done once.
    alike = {one.digest: one for one in rulings}.values()
    packed = {one.digest: (_SEPARATOR.join(terms_of(one.found_by)), packed_document(one.document)) for one in alike}
    rows = await connection.fetch(
        _ADD,
        [one.epoch for one in rulings],
        [one.kind for one in rulings],
        [one.erased for one in rulings],
        [one.digest for one in rulings],
        [one.found_by.address for one in rulings],
        [packed[one.digest][0] for one in rulings],
        [packed[one.digest][1] for one in rulings],
        [one.matter for one in rulings],
    )
    return {(row["epoch"], row["digest"]): row["number"] for row in rows}


def packed_document(document: bytes) -> bytes:
    """Return a ruling's document as it is stored: a byte that says how, and the document compressed in that way."""
    squeeze = zlib.compressobj(3, zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY, _WORDS)
    return b"\x01" + squeeze.compress(document) + squeeze.flush()


def unpacked_document(stored: bytes) -> bytes:
    """Return the document. Raise ValueError where it was stored in a way that this code does not know."""
    if stored[:1] != b"\x01":
        raise ValueError(f"a ruling is stored in way {stored[:1].hex() or 'none'}, this gateway knows 01")
    reading = zlib.decompressobj(-15, _WORDS)
    try:
        document = reading.decompress(stored[1:], _LARGEST)
    except zlib.error as fault:
        raise ValueError(f"a ruling is damaged: {fault}") from None
    if not reading.eof:
        raise ValueError("a ruling is damaged: it does not end where it should")
    return document


def terms_of(found_by: Findable) -> list[str]:
    """Return the terms of a ruling. Of what its kind says, only what is rare: an outcome that refuses, a reason.

    That something was allowed is one where a rule is named besides, which never goes together: what is asked for both
    is then told by the index to be nowhere.
    """
    terms = [_term("account", found_by.account)] if found_by.account is not None else []
    terms += [_term("ticket", found_by.ticket)] if found_by.ticket is not None else []
    terms += [_term("outcome", found_by.outcome)] if found_by.outcome != Outcome.ALLOW or found_by.rules else []
    terms += [_term("reason", found_by.reason)] if found_by.reason is not None else []
    terms += [_term("country", country) for country in found_by.countries]
    terms += [_term("asn", str(asn)) for asn in found_by.asns]
    return terms + [_term("rule", rule) for rule in found_by.rules]


def terms_asked(search: Search) -> list[str]:
    """Return the terms that every ruling has that the search finds."""
    asked = (
        ("account", search.account),
        ("ticket", search.ticket),
        ("outcome", None if search.outcome == Outcome.ALLOW and search.rule is None else search.outcome),
        ("reason", search.reason),
        ("country", search.country),
        ("asn", None if search.asn is None else str(search.asn)),
        ("rule", search.rule),
    )
    return [_term(name, value) for name, value in asked if value is not None]


def _term(name: str, value: str) -> str:
    # Escaped, because PostgreSQL takes neither NUL nor lone surrogates in a text; the escape is one-to-one.
    text = value.encode("unicode_escape").decode("ascii")
    if len(text) > _LONGEST:
        text = "#" + blake2b(text.encode("ascii"), digest_size=32).hexdigest()
    return f"{name}:{text}"
