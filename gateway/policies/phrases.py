"""Codes in words, for the people who read an explanation. Every code of the record has its phrase here."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from gateway.core.client_ip import How, Role, Unresolved
from gateway.core.customer import DEFAULT, texts
from gateway.core.facts import AnyFact, Facts
from gateway.core.terms import Credential, Operation, Outcome, Proof, Status, TokenState, WhyUnknown
from gateway.policies.what_if import Change

LONGEST: Final = 200

HOW: Final[Mapping[How, str]] = MappingProxyType(
    {
        How.PEER: "the other end of the connection itself",
        How.FORWARDED: "the address nearest us that no trusted proxy claims",
        How.HOPS: "the address as many hops away as is configured",
        How.SINGLE_HEADER: "the address in the header that is believed",
        How.UNRESOLVED: "nobody can be held responsible",
    }
)
ROLES: Final[Mapping[Role, str]] = MappingProxyType(
    {
        Role.PEER: "the other end of the connection",
        Role.TRUSTED: "a trusted proxy",
        Role.CLIENT: "the client",
        Role.REFUSED: "refused: with it the header cannot be believed",
        Role.IGNORED: "ignored: anybody can have written it",
    }
)
UNRESOLVED: Final[Mapping[Unresolved, str]] = MappingProxyType(
    {
        Unresolved.NO_PEER: "the server gave no address of the connection",
        Unresolved.PEER_INVALID: "the address of the connection cannot be read",
        Unresolved.PEER_NOT_TRUSTED: "the connection does not come from a trusted proxy",
        Unresolved.HEADER_MISSING: "the trusted proxy did not send the header that names the client",
        Unresolved.HEADER_REPEATED: "the header that names the client came more than once",
        Unresolved.HEADER_TOO_LONG: "the header that names the client is too long to be read to its end",
        Unresolved.HEADER_SYNTAX: "the header that names the client cannot be read",
        Unresolved.ELEMENT_INVALID: "the header that names the client holds something that is no address",
        Unresolved.ELEMENT_OBFUSCATED: "the header that names the client holds a pseudonym in place of an address",
        Unresolved.TOO_FEW_HOPS: "the header that names the client holds fewer addresses than are configured",
        Unresolved.ALL_TRUSTED: "every address on the way is that of a trusted proxy",
        Unresolved.NOT_GLOBAL: "the address is a private or reserved one",
    }
)
WHY: Final[Mapping[WhyUnknown, str]] = MappingProxyType(
    {
        WhyUnknown.ADDRESS_UNRESOLVED: "nobody can say which client this is",
        WhyUnknown.NO_RECORD: "the databases have no record",
        WhyUnknown.PSEUDO_CODE: "the databases hold only a placeholder for it",
        WhyUnknown.SOURCES_DISAGREE: "the sources disagree",
        WhyUnknown.SPECIAL_PURPOSE: "the address is private or reserved, and no database may speak about it",
        WhyUnknown.LOOKUP_FAILED: "the database is damaged where the address lies",
        WhyUnknown.EDITION_TOO_OLD: "the database is too old to be believed",
        WhyUnknown.NOT_CONFIGURED: "no source of it is configured",
        WhyUnknown.NOT_SUPPLIED: "nothing supplied it",
        WhyUnknown.NO_ACCOUNT: "the store does not know this customer",
        WhyUnknown.TOKEN_LACKS_CLAIM: "the token does not say it",
        WhyUnknown.KEYS_UNAVAILABLE: "the keys to check the credential could not be had",
        WhyUnknown.STORE_UNAVAILABLE: "the store did not answer",
        WhyUnknown.OVERLOADED: "there was too much to do to ask for it",
    }
)
OUTCOMES: Final[Mapping[Outcome, str]] = MappingProxyType(
    {
        Outcome.ALLOW: "Allowed.",
        Outcome.CHALLENGE: "Not yet: open once the customer has given the proof that is asked for.",
        Outcome.DENY: "Refused.",
    }
)
TOKENS: Final[Mapping[TokenState, str]] = MappingProxyType(
    {
        TokenState.ABSENT: "did not come",
        TokenState.VALID: "was valid",
        TokenState.EXPIRED: "had expired",
        TokenState.INVALID: "was not valid",
    }
)
CREDENTIALS: Final[Mapping[Credential, str]] = MappingProxyType(
    {Credential.NONE: "no credential", Credential.SESSION: "a session", Credential.API_KEY: "an API key"}
)
NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "operation": "operation",
        "country": "country",
        "subdivision": "region",
        "continent": "continent",
        "asn": "network operator's number",
        "network": "kind of network",
        "credential": "credential",
        "token": "check of the credential",
        "assurance": "strength of the proof",
        "auth_age": "age of the proof",
        "account": "account",
        "status": "status",
        "flags": "marks",
        "verification": "verification",
        "documents": "documents",
        "residence": "residence",
        "nationality": "nationality",
        "holds": "holds",
        "signals": "signals",
        "risk": "risk",
        "amount_usd": "amount in US dollars",
        "destination": "destination",
        "withdrawn_today_usd": "withdrawn within a day, in US dollars",
    }
)
"""Every fact, as people call it."""
STATUSES: Final[Mapping[Status, str]] = MappingProxyType(
    {
        Status.NONE: "nobody was signed in",
        Status.OPEN: "in good standing",
        Status.EXIT_ONLY: "being closed",
        Status.FLAGGED: "under review",
        Status.RESTRICTED: "support only",
        Status.ARCHIVED: "closed",
    }
)
PROOFS: Final[Mapping[int, str]] = MappingProxyType(
    {
        0: "by nothing",
        1: "by signing in alone",
        2: "with a second factor",
        3: "with a factor that resists phishing",
    }
)
"""How somebody proved who they are, by the `assurance` that it counts for."""
ASKED: Final[Mapping[Proof, str]] = MappingProxyType(
    {
        Proof.SIGN_IN: "signing in",
        Proof.MFA: "a second factor",
        Proof.PHISHING_RESISTANT: "a factor that resists phishing",
    }
)
"""The proof that a rule asks for."""
SIGNALS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "unfamiliar_network": ", the network is none that this customer uses",
        "impossible_travel": ", the last place is farther away than anybody travels in that time",
    }
)


def printable(text: object) -> str:
    """Return text from outside fit for a terminal: what does not print is escaped, what is long is cut."""
    plain = "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in str(text))
    return f"{plain[:LONGEST]}…" if len(plain) > LONGEST else plain


def shown(text: object) -> str:
    """Return text from outside as a quotation."""
    return f"`{printable(text)}`"


def listed(parts: Iterable[str], joint: str = "and") -> str:
    """Return the parts as a list in a sentence."""
    *first, last = parts
    return f"{', '.join(first)} {joint} {last}" if first else last


def value_of(value: Any) -> str:  # noqa: ANN401 - a JSON value
    """Return a fact's certain value in words."""
    if value is None:
        return "none"
    if isinstance(value, list | tuple | set | frozenset):
        return listed(shown(one) for one in sorted(value)) if value else "none"
    return shown(value)


def duration(seconds: float) -> str:
    """Return a time in the largest unit that it is a whole number of."""
    whole = int(seconds)
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if whole and whole % length == 0:
            return f"{whole // length} {unit}{'' if whole == length else 's'}"
    return f"{whole} second{'' if whole == 1 else 's'}"


def operation_words(operation: Operation) -> str:
    """Return what somebody does by an operation, as one says it of them."""
    return texts(DEFAULT).operations[operation].replace("your own", "their own")


def named(name: str, value: Any) -> str:  # noqa: ANN401 - a JSON value
    """Return the value of an account's fact in words. `{"count": N}` stands for countries that are not shown."""
    if isinstance(value, Mapping):
        count = int(value["count"])
        return "none" if not count else f"of {count} {'country' if count == 1 else 'countries'}, not shown here"
    if name == "network" and not value:
        return "nothing noted"
    if name == "status":
        return f"{shown(value)} ({STATUSES[Status(value)]})"
    return value_of(value)


def doubt(entry: Mapping[str, Any]) -> str:
    """Return what an uncertain fact of the record may be, and why it is uncertain."""
    why = WHY[WhyUnknown(entry["why"])]
    options = [value_of(value) for value in entry.get("one_of", ())]
    options += [f"any that begins with {shown(prefix)}" for prefix in entry.get("prefixes", ())]
    return f"{listed(options, 'or')}, because {why}" if options else f"unknown, because {why}"


def change(one: Change, others: Iterable[AnyFact], facts: Facts) -> str:
    """Return what would have had to be otherwise. `others` are values of the same fact that would have served too."""
    values = (one.value, *others)
    match one.fact, one.value:
        case "sign_in", _:
            words = "a customer had been signed in, with an open account and nothing known against them"
        case "assurance", int(level):
            words = f"the customer had proved who they are {_proofs(level, others)}"
        case "auth_age", int():
            words = "the customer had proved who they are just before"
        case "credential", str(kind):
            words = f"the request had come with {CREDENTIALS[Credential(kind)]} of the same customer"
        case ("flags" | "holds") as name, frozenset() as wanted:
            words = _members(name, getattr(facts, name), wanted)
        case "status", _:
            words = f"the account's status had been {listed([named('status', value) for value in values], 'or')}"
        case "destination", _:
            words = f"the destination had been {listed([_DESTINATIONS[value] for value in values], 'or')}"
        case _:
            words = f"the {NAMES[one.fact]} had been {listed(map(value_of, values), 'or')}"
    return words


_DESTINATIONS: Final[Mapping[Any, str]] = {
    "known": "one that the customer has used before",
    "new": "one that the customer has not used before",
    None: "left out",
}


def _proofs(level: int, others: Iterable[AnyFact]) -> str:
    """Return the levels in words: the least alone where the stronger ones serve too."""
    levels = sorted({level, *(other for other in others if isinstance(other, int))})
    if levels == list(range(levels[0], 4)) and len(levels) > 1:
        return f"{PROOFS[levels[0]]} or better"
    return listed([PROOFS[one] for one in levels], "or")


def _members(name: str, current: AnyFact, wanted: frozenset[str]) -> str:
    """Return what marks or holds the account would have had to lack or have."""
    one = {"flags": "mark", "holds": "hold on"}[name]
    if not isinstance(current, frozenset):
        marks = [f"the {one} {shown(member)}" for member in sorted(wanted)]
        having = f"had held {listed(marks)}" if wanted else "had been empty"
        return f"the {NAMES[name]} of the account had been read, and {having}"
    gone, added = sorted(current - wanted), sorted(wanted - current)
    parts = [f"not had {listed([f'the {one} {shown(member)}' for member in gone], 'or')}"] if gone else []
    if added:
        parts.append(f"had {listed([f'the {one} {shown(member)}' for member in added])}")
    return f"the account had {listed(parts)}"
