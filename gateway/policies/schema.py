"""The facts that conditions may name, as data: the one place that says what each is and where it comes from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final, NamedTuple, Self

from gateway.core.terms import Credential, Operation, Status, TokenState, Verification


@unique
class Kind(StrEnum):
    """What the values of a fact are. Only values of one kind may be compared with one another."""

    OPERATION = "operation"
    COUNTRY = "country"
    SUBDIVISION = "subdivision"
    CONTINENT = "continent"
    ASN = "asn"
    NETWORK = "network"
    CREDENTIAL = "credential"
    TOKEN = "token"  # noqa: S105 - a kind of fact, not a secret
    ASSURANCE = "assurance"
    SECONDS = "seconds"
    ACCOUNT = "account"
    STATUS = "status"
    FLAG = "flag"
    VERIFICATION = "verification"
    SIGNAL = "signal"
    RISK = "risk"
    USD = "usd"
    DESTINATION = "destination"


NUMBERS: Final = frozenset({Kind.ASN, Kind.ASSURANCE, Kind.SECONDS, Kind.USD})
"""Kinds whose values are numbers; all others are text."""


class FactSchema(NamedTuple):
    """What conditions may say of one fact."""

    name: str
    kind: Kind
    doc: str
    is_set: bool = False
    nullable: bool = False
    """True where the value may be "there is none"."""
    domain: tuple[str | int, ...] | None = None
    """Every value there is, where they can be counted; None where the values are open."""
    measured: bool = False
    """True where the values are so many that only their order against the thresholds matters."""
    configure: str | None = None
    """The line to add where the fact has no source; None where it always has one."""

    @property
    def is_number(self) -> bool:
        """Whether the values are numbers."""
        return self.kind in NUMBERS


NETWORKS: Final = ("hosting", "mobile", "public_proxy", "relay", "residential_proxy", "satellite", "tor", "vpn")
"""What anonymizer databases say of an address, besides the names of the operator's own network lists."""

_RISK: Final = 'add a table `[risk]` with `key_file = "FILE"`'

_ALL: Final = (
    FactSchema("operation", Kind.OPERATION, "what the request attempts", domain=tuple(Operation)),
    FactSchema("country", Kind.COUNTRY, "where the address is, ISO 3166-1 alpha-2"),
    FactSchema(
        "subdivision",
        Kind.SUBDIVISION,
        "the part of the country where the address is, ISO 3166-2",
        configure='add `subdivision = ["FILE.mmdb"]` under `[geodb]`',
    ),
    FactSchema(
        "continent",
        Kind.CONTINENT,
        "the continent where the address is",
        domain=("AF", "AN", "AS", "EU", "NA", "OC", "SA"),
    ),
    FactSchema(
        "asn",
        Kind.ASN,
        "the number of the autonomous system that announces the address",
        configure='add `asn = ["shipped"]` under `[geodb]`',
    ),
    FactSchema(
        "network",
        Kind.NETWORK,
        "what kinds of network the address belongs to, and which of the operator's network lists name it",
        is_set=True,
        configure='add `anonymizer = ["FILE.mmdb"]` or `networks = { NAME = "FILE.txt" }` under `[geodb]`',
    ),
    FactSchema("credential", Kind.CREDENTIAL, "what kind of credential came", domain=tuple(Credential)),
    FactSchema("token", Kind.TOKEN, "what became of the credential when it was checked", domain=tuple(TokenState)),
    FactSchema("assurance", Kind.ASSURANCE, "how strongly the subject proved who it is", domain=(0, 1, 2, 3)),
    FactSchema("auth_age", Kind.SECONDS, "seconds since the subject proved who it is", nullable=True, measured=True),
    FactSchema("account", Kind.ACCOUNT, "the customer's identifier", nullable=True),
    FactSchema("status", Kind.STATUS, "where the account stands", domain=tuple(Status)),
    FactSchema("flags", Kind.FLAG, "the marks on the account", is_set=True),
    FactSchema(
        "verification", Kind.VERIFICATION, "how far the customer's identity is verified", domain=tuple(Verification)
    ),
    FactSchema("documents", Kind.COUNTRY, "the countries of the customer's documents", is_set=True),
    FactSchema("residence", Kind.COUNTRY, "where the customer lives, by KYC", nullable=True),
    FactSchema("nationality", Kind.COUNTRY, "the customer's nationality", nullable=True),
    FactSchema("holds", Kind.OPERATION, "the operations that a hold closes", is_set=True, domain=tuple(Operation)),
    FactSchema("signals", Kind.SIGNAL, "anomalies measured", is_set=True, configure=_RISK),
    FactSchema(
        "risk",
        Kind.RISK,
        "the risk that the signals add up to",
        domain=("low", "medium", "high"),
        configure=_RISK,
    ),
    FactSchema(
        "amount_usd",
        Kind.USD,
        "what is to be withdrawn",
        nullable=True,
        measured=True,
        configure='add `amount_usd = "/A/PLACE/IN/THE/BODY"` under `[withdrawals]`',
    ),
    FactSchema(
        "destination",
        Kind.DESTINATION,
        "whether the customer has withdrawn to this destination before",
        nullable=True,
        domain=("known", "new"),
        configure='add `destination = "/A/PLACE/IN/THE/BODY"` under `[withdrawals]`, and a table `[risk]`',
    ),
    FactSchema(
        "withdrawn_today_usd",
        Kind.USD,
        "what was withdrawn in the last 24 hours",
        nullable=True,
        measured=True,
        configure='add `withdrawn_today_usd = "events"` under `[withdrawals]`, and send `withdrawal.completed` events',
    ),
)

FACTS: Final[Mapping[str, FactSchema]] = MappingProxyType({fact.name: fact for fact in _ALL})
"""Every fact by its name, in the order of `Facts`."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What the configuration supplies; a rule about anything else would never say anything, so it does not load."""

    facts: frozenset[str]
    networks: frozenset[str]

    @classmethod
    def configured(
        cls, *, subdivision: bool, asn: bool, anonymizer: bool, networks: Iterable[str], more: Iterable[str] = ()
    ) -> Self:
        """Return the sources of a configuration. `more` names facts that it supplies besides the usual ones."""
        named = frozenset(networks) | (frozenset(NETWORKS) if anonymizer else frozenset())
        optional = {"subdivision": subdivision, "asn": asn, "network": bool(named)}
        facts = {name for name, fact in FACTS.items() if fact.configure is None or optional.get(name, False)}
        return cls(frozenset(facts | set(more)), named)
