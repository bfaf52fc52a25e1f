"""What may be asked of recorded decisions, and the cursor that goes from one page of answers to the next."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, NamedTuple
from uuid import UUID

from gateway.core.addresses import parse
from gateway.core.countries import CONTINENT_OF
from gateway.core.decision import Document, parse_instant
from gateway.core.errors import SearchError
from gateway.core.terms import Operation, Outcome, Reason
from gateway.core.trace_context import trace_parent

AMBIGUOUS: Final = "ambiguous"
"""The operation of a request that could not be read."""
_MAPPED_V4: Final = 0xFFFF << 32
MOST: Final = 1000
"""Decisions on one page at most."""
_DIGEST: Final = re.compile(r"[0-9a-f]{6,64}\Z")
_TRACE: Final = re.compile(r"[0-9a-f]{32}\Z")
_AGO: Final = re.compile(r"([0-9]{1,6})([smhd])\Z")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST: Final = 256
_PSEUDONYM: Final = re.compile(r"hmac:[0-9a-f]{32}\Z")
_BEHIND: Final = b"\xff" * 16
"""What every digest of an address begins with as it is found by, so that it lies in no network, not even in `::/0`."""
_OF_NETWORK: Final = 8
"""Bytes of the network's digest before that of the address: so its addresses are one range, as in a network."""


class AddressDigest(NamedTuple):
    """An address or a network as it is named where personal data was erased (`core.pseudonyms`)."""

    network: str
    """The /24 of an IPv4 address, or the /48 of an IPv6 one."""
    address: str | None = None
    """None for every address of the network."""


class Search(NamedTuple):
    """Conditions that all must hold; None asks nothing."""

    account: str | None = None
    address: IPv4Network | IPv6Network | AddressDigest | None = None
    """The client address held responsible lies in this network; one address is a network of its own."""
    country: str | None = None
    """A certain country; a decision whose country was uncertain is found by each one that it may have been."""
    asn: int | None = None
    operation: str | None = None
    """`ambiguous` finds the requests that could not be read."""
    outcome: str | None = None
    reason: str | None = None
    """The reason of the verdict or, of a request that was refused unread, of the reply."""
    rule: str | None = None
    """`policy/rule`, among those that determined the verdict."""
    bundle: str | None = None
    """The beginning of a bundle's digest, six characters at least."""
    ticket: str | None = None
    """The ticket that the visitor was told of."""
    trace: str | None = None
    """The trace that the request said it was a part of, as 32 hexadecimal digits."""
    since: int | None = None
    """Microseconds since the epoch, inclusive."""
    until: int | None = None
    """Exclusive."""


class Findable(NamedTuple):
    """What a ruling is found by. Where a fact was uncertain, each value that it may have had is one."""

    account: str | None
    address: bytes | None
    """16 bytes, an IPv4 address as its mapped IPv6 one, so that all addresses have one order. 40 bytes behind them all
    where it was erased: its network's digest and its own."""
    countries: tuple[str, ...]
    asns: tuple[int, ...]
    operation: str
    outcome: str
    reason: str | None
    rules: tuple[str, ...]
    bundle: str
    ticket: str | None = None


class Page(NamedTuple):
    """One page of decisions, the newest first."""

    documents: tuple[Document, ...]
    cursor: str | None
    """What to ask with for the next page; None where this is the last."""


def merged(pages: Iterable[Page], limit: int) -> Page:
    """Return the newest decisions of several pages, each once, as one page of at most `limit`.

    Each page is of at least so many, or the last of its own: the newest of all lie within the newest of each.
    """
    found: dict[str, Document] = {}
    more = False
    for page in pages:
        found.update((str(one["id"]), one) for one in page.documents)
        more = more or page.cursor is not None
    ids = sorted(found, reverse=True)
    documents = tuple(found[one] for one in ids[:limit])
    more = more or len(ids) > limit
    return Page(documents, cursor_of(UUID(ids[len(documents) - 1]).bytes) if more and documents else None)


def read_search(asked: Mapping[str, str], now: int) -> Search:
    """Return the search that texts (of options, of a query string) ask for, `now` being microseconds since the epoch.

    Raise SearchError, with what was probably meant, where a name or a value is not one.
    """
    unknown = sorted(set(asked) - set(Search._fields))
    if unknown:
        raise SearchError(f"`{unknown[0]}` is not something to search by; these are: {', '.join(Search._fields)}")
    long = next((name for name, text in asked.items() if len(text) > _LONGEST or not text), None)
    if long is not None:
        raise SearchError(f"{long}: 1 to {_LONGEST} characters")
    return Search(
        account=asked.get("account"),
        address=_network(asked["address"]) if "address" in asked else None,
        country=_country(asked["country"]) if "country" in asked else None,
        asn=_asn(asked["asn"]) if "asn" in asked else None,
        operation=_one_of("operation", asked["operation"], [*Operation, AMBIGUOUS]) if "operation" in asked else None,
        outcome=_one_of("outcome", asked["outcome"], list(Outcome)) if "outcome" in asked else None,
        reason=_one_of("reason", asked["reason"], list(Reason)) if "reason" in asked else None,
        rule=_rule(asked["rule"]) if "rule" in asked else None,
        bundle=_digest(asked["bundle"]) if "bundle" in asked else None,
        ticket=asked.get("ticket"),
        trace=_trace(asked["trace"]) if "trace" in asked else None,
        since=read_instant("since", asked["since"], now) if "since" in asked else None,
        until=read_instant("until", asked["until"], now) if "until" in asked else None,
    )


def read_instant(name: str, text: str, now: int) -> int:
    """Return an instant (RFC 3339) or how long ago (`90m`, `24h`, `7d`) as microseconds since the epoch."""
    ago = _AGO.match(text)
    if ago:
        return now - int(ago[1]) * _SECONDS[ago[2]] * 1_000_000
    try:
        return parse_instant(text)
    except ValueError as fault:
        raise SearchError(
            f"{name}: {fault}; write an instant such as 2026-11-01T00:00:00Z, or how long ago: 90m, 24h, 7d"
        ) from None


def findable(ruling: Document) -> Findable:
    """Return what a ruling document (`core.decision.ruling_document`, or of an ambiguous request) is found by."""
    verdict = ruling["verdict"] or {"outcome": str(Outcome.DENY), "by": (), "reason": None}
    account = (ruling["facts"] or {}).get("account")
    ticket = ruling["reply"].get("ticket_id")
    return Findable(
        account=account if isinstance(account, str) else None,
        address=_found_at(ruling["client_ip"]),
        countries=tuple(sorted(map(str, _possible(ruling, "country")))),
        asns=tuple(sorted(one for one in _possible(ruling, "asn") if isinstance(one, int))),
        operation=ruling["operation"] or AMBIGUOUS,
        outcome=verdict["outcome"],
        reason=verdict["reason"] or ruling["reply"]["reason"],
        rules=tuple(sorted({f"{rule['policy']}/{rule['rule']}" for rule in verdict["by"]})),
        bundle=ruling["bundle"],
        ticket=ticket if isinstance(ticket, str) else None,
    )


def is_pseudonym(text: str) -> bool:
    """Return whether a text has the form of the digests that stand in place of erased names and addresses."""
    return _PSEUDONYM.match(text) is not None


def packed(address: str) -> bytes:
    """Return an address as the 16 bytes that it is found by. Raise ValueError where it is none."""
    parsed = parse(address.partition("%")[0])
    if parsed is None:
        raise ValueError(f"`{address[:_LONGEST]}` is not an address such as 203.0.113.7 or 2001:db8::7")
    bits, number = parsed
    return (_MAPPED_V4 | number if bits == 32 else number).to_bytes(16, "big")


def packed_range(network: IPv4Network | IPv6Network | AddressDigest) -> tuple[bytes, bytes]:
    """Return the first and the last address of a network, as `packed` would; both are the same for one address."""
    if isinstance(network, AddressDigest):
        if network.address is not None:
            one = _packed_digest(network.network, network.address)
            return one, one
        first = _packed_digest(network.network, "")
        return first + bytes(16), first + b"\xff" * 16
    return packed(str(network[0])), packed(str(network[-1]))


def _found_at(client_ip: Mapping[str, str | None]) -> bytes | None:
    address = client_ip["address"]
    if address is None:
        return None
    if is_pseudonym(address):
        return _packed_digest(client_ip["network"] or "", address)
    return packed(address)


def _packed_digest(network: str, address: str) -> bytes:
    parts = [bytes.fromhex(text.removeprefix("hmac:")) for text in (network, address)]
    return _BEHIND + parts[0][:_OF_NETWORK] + parts[1]


def _possible(ruling: Document, fact: str) -> Iterable[object]:
    known = (ruling["facts"] or {}).get(fact)
    if known is not None:
        return (known,)
    uncertain = (ruling["unknown"] or {}).get(fact) or {}
    return tuple(uncertain.get("one_of", ()))


def cursor_of(decision_id: bytes) -> str:
    """Return the cursor that goes on after the decision with these 16 bytes."""
    return urlsafe_b64encode(decision_id).rstrip(b"=").decode("ascii")


def read_cursor(text: str) -> bytes:
    """Return the 16 bytes of the id that a page ended with. Raise SearchError."""
    try:
        return UUID(bytes=urlsafe_b64decode(f"{text}==".encode("ascii"))).bytes
    except (ValueError, UnicodeEncodeError):
        raise SearchError("cursor: this is not one that a page of decisions ended with") from None


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise SearchError(f"address: `{text}` is neither an address nor a network such as 203.0.113.0/24") from None


def _country(text: str) -> str:
    if text.upper() not in CONTINENT_OF:
        raise SearchError(f"country: `{text}` is not a country code (ISO 3166-1) such as PT")
    return text.upper()


def _asn(text: str) -> int:
    digits = text.upper().removeprefix("AS")
    if not digits.isascii() or not digits.isdigit() or int(digits) >= 1 << 32:
        raise SearchError(f"asn: `{text}` is not the number of an autonomous system such as AS64500")
    return int(digits)


def _rule(text: str) -> str:
    if text.count("/") != 1:
        raise SearchError(f"rule: `{text}` is not a policy and a rule of it, such as us-exit/us-closed")
    return text


def _digest(text: str) -> str:
    if not _DIGEST.match(text.lower()):
        raise SearchError(f"bundle: `{text}` is not the beginning of a digest: 6 to 64 hexadecimal digits")
    return text.lower()


def _trace(text: str) -> str:
    # As people have it at hand: the id alone, or the header that it came in.
    found = trace_parent(text.lower().encode("ascii", "replace"))
    digits = text.lower().replace("-", "") if found is None else found.trace_id
    if not _TRACE.match(digits):
        raise SearchError(f"trace: `{text}` is not a trace id, which is 32 hexadecimal digits, nor a traceparent")
    return digits


def _one_of(name: str, text: str, choices: list[str]) -> str:
    if text not in choices:
        raise SearchError(f"{name}: `{text}` is none of {', '.join(sorted(choices))}")
    return text
