"""What of a decision its readers see: addresses as networks, a person's countries as a count, unless they say why not.

The record itself stays whole, or it could not be replayed: what is masked is a copy, made for one reader. Whoever needs
more gives a reason and gets it, and a value that says who saw what of which decision, when and why. Keeping that value
is the caller's.
"""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum, unique
from ipaddress import ip_network
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from gateway.core.addresses import parse, spell
from gateway.core.client_ip import UNIX_SOCKET
from gateway.core.decision import Document, instant_text
from gateway.core.errors import MaskingError


@unique
class Reader(StrEnum):
    """Who reads a decision, from the least that is shown to the most."""

    SUPPORT = "support"
    ANALYST = "analyst"
    AUDITOR = "auditor"


@unique
class Personal(StrEnum):
    """A kind of personal data in a decision."""

    ADDRESSES = "addresses"
    """The client's address, the hops that led to it, and addresses in the path or the host."""
    USER_AGENT = "user-agent"
    COUNTRIES = "countries"
    """The countries of documents, residence and nationality. Where the address is counts to the address."""


EVERYTHING: Final = frozenset(Personal)
SEES: Final[Mapping[Reader, frozenset[Personal]]] = MappingProxyType(
    {
        Reader.SUPPORT: frozenset(),
        Reader.ANALYST: frozenset({Personal.ADDRESSES, Personal.USER_AGENT}),
        Reader.AUDITOR: EVERYTHING,
    }
)
"""What each reader sees without saying why."""

HIDDEN: Final = "…"
COUNTRY_FACTS: Final = ("documents", "residence", "nationality")

_LEAST_REASON: Final = 10
_LONGEST_REASON: Final = 500
_LONGEST_NAME: Final = 200

_SIX_TO_FOUR: Final = 0x2002
_IPV4: Final = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
_IPV6: Final = r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,}(?:[0-9.]{1,15})?"
_ADDRESS: Final = re.compile(f"{_IPV6}|{_IPV4}")
"""Whatever may be an address. What turns out to be none is hidden: better a time of day than somebody's address."""


class Unmasking(NamedTuple):
    """Who saw of which decision what is masked otherwise, when and why. To be kept by whoever asked for it."""

    who: str
    reader: Reader
    at: int
    """Microseconds since the epoch."""
    decision_id: str
    shown: tuple[Personal, ...]
    why: str

    def to_json(self) -> Document:
        """Return the record as a JSON object."""
        return {
            "event": "decision.unmasked",
            "who": self.who,
            "role": str(self.reader),
            "at": instant_text(self.at),
            "decision": self.decision_id,
            "shown": [str(kind) for kind in self.shown],
            "why": self.why,
        }


def unmasking(  # noqa: PLR0917 - the parts of the record, in its order
    document: Document, reader: Reader, who: str, at: int, why: str, kinds: Iterable[Personal] = EVERYTHING
) -> Unmasking:
    """Return the record of an unmasking, which `masked` and `explain` take as leave. Raise MaskingError without reason.

    `kinds` are what to show; those that the reader sees anyway are left out of the record.
    """
    reason, name = " ".join(why.split()), " ".join(who.split())
    if not _LEAST_REASON <= len(reason) <= _LONGEST_REASON or not reason.isprintable():
        msg = (
            f"unmasking takes a reason of {_LEAST_REASON} to {_LONGEST_REASON} characters that others will read, such "
            "as `ticket 4711: the customer disputes the address`"
        )
        raise MaskingError(msg)
    if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable():
        msg = "unmasking is recorded with the name of who asked for it, and there was none that can be recorded"
        raise MaskingError(msg)
    more = frozenset(kinds) - SEES[reader]
    if not more:
        msg = f"there is nothing to unmask: the role `{reader}` sees that already"
        raise MaskingError(msg)
    shown = tuple(kind for kind in Personal if kind in more)
    return Unmasking(name, reader, at, str(document["id"]), shown, reason)


def seen_by(document: Document, reader: Reader, leave: Unmasking | None = None) -> frozenset[Personal]:
    """Return what the reader sees of a decision. Raise MaskingError where the leave is another's."""
    if leave is None:
        return SEES[reader]
    if (leave.decision_id, leave.reader) != (str(document["id"]), reader):
        msg = f"the unmasking is of decision {leave.decision_id} for the role `{leave.reader}`, and not of this one"
        raise MaskingError(msg)
    return SEES[reader] | frozenset(leave.shown)


def masked(document: Document, seen: frozenset[Personal]) -> Document:
    """Return a copy of a decision with what is not `seen` masked; `masked` names the kinds that are.

    A masked country fact is `{"count": N}`, a masked user agent is None, a masked address its network.
    """
    copy = {**document, "masked": [str(kind) for kind in Personal if kind not in seen]}
    if Personal.USER_AGENT not in seen:
        copy["request"] = {**copy["request"], "user_agent": None}
    if Personal.ADDRESSES not in seen:
        copy["client_ip"] = _client_ip(document["client_ip"])
        request = copy["request"]
        copy["request"] = {**request, "path": masked_text(request["path"]), "host": masked_text(request["host"])}
        if document.get("ambiguous") is not None:
            told = document["ambiguous"]
            copy["ambiguous"] = {**told, "detail": masked_text(told["detail"])}
    if Personal.COUNTRIES not in seen and document["facts"] is not None:
        copy["facts"] = {name: _counted(name, value) for name, value in document["facts"].items()}
        copy["unknown"] = {name: _undescribed(name, entry) for name, entry in document["unknown"].items()}
    detail = document.get("signals_detail")
    if detail is not None and not seen >= EVERYTHING:
        # What terms were computed from names countries, operators and browsers: the terms stay, their words go.
        copy["signals_detail"] = {
            **detail,
            "terms": [{**term, "words": None} for term in detail["terms"]],
            "signals": [{**signal, "measured": None} for signal in detail["signals"]],
        }
    if not seen >= EVERYTHING:
        copy.pop("about", None)
    return copy


def masked_address(text: str) -> str | None:
    """Return the network of an address, /24 or /48; None where the text is no address, alone or with a port.

    A 6to4 address holds an IPv4 address from its 17th bit on: its network is the /40 that holds three octets of it.
    """
    found = parse(text)
    if found is None:
        match = _ADDRESS.search(text)
        # An IPv6 address within other text runs on into a port, unless brackets end it: then all of it stands there.
        found = None if match is None else parse(match[0])
    if found is None:
        return None
    bits, number = found
    of_six = 40 if number >> 112 == _SIX_TO_FOUR else 48
    return str(ip_network(f"{spell(found)}/{24 if bits == 32 else of_six}", strict=False))


def masked_text(text: str) -> str:
    """Return text from outside with every address in it masked, percent-encoded ones too."""
    return "/".join(_masked_part(part) for part in text.split("/"))


def _masked_part(part: str) -> str:
    plain = unquote(unquote(part))
    shown = _ADDRESS.sub(lambda match: masked_address(match[0]) or HIDDEN, plain)
    return part if shown == plain else shown


def _client_ip(client_ip: Mapping[str, Any]) -> Document:
    address = client_ip["address"]
    chain = [{**hop, "text": _hop(str(hop["text"]))} for hop in client_ip["chain"]]
    return {**client_ip, "address": None if address is None else masked_address(str(address)) or HIDDEN, "chain": chain}


def _hop(text: str) -> str:
    return text if text == UNIX_SOCKET else masked_address(text) or HIDDEN


def _counted(name: str, value: Any) -> Any:  # noqa: ANN401 - a JSON value
    if name not in COUNTRY_FACTS:
        return value
    if isinstance(value, list):
        return {"count": len(value)}
    return value if value is None else {"count": 1}


def _undescribed(name: str, entry: Any) -> Any:  # noqa: ANN401 - a JSON value
    return {"why": entry["why"]} if name in COUNTRY_FACTS else entry
