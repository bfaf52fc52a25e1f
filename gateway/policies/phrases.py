"""Codes in words, for the people who read an explanation. Every code of the record has its phrase here."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from gateway.core.client_ip import How, Role, Unresolved
from gateway.core.facts import AnyFact, Facts
from gateway.core.terms import Credential, Outcome, Proof, TokenState, WhyUnknown
from gateway.policies.schema import FACTS
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
        WhyUnknown.NO_RECORD: "the databases have no record of it",
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
_PROOFS: Final = {proof.assurance: proof for proof in Proof}


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


def doubt(entry: Mapping[str, Any]) -> str:
    """Return what an uncertain fact of the record may be, and why it is uncertain."""
    why = WHY[WhyUnknown(entry["why"])]
    options = [value_of(value) for value in entry.get("one_of", ())]
    options += [f"any that begins with {shown(prefix)}" for prefix in entry.get("prefixes", ())]
    return f"{listed(options, 'or')}, because {why}" if options else f"unknown, because {why}"


def change(one: Change, others: Iterable[AnyFact], facts: Facts) -> str:
    """Return what would have had to be otherwise. `others` are values of the same fact that would have served too."""
    match one.fact, one.value:
        case "sign_in", _:
            return "a customer had been signed in, with an open account and nothing known against them"
        case "assurance", int(level):
            return f"the customer had proved who they are by {shown(_PROOFS.get(level, 'no proof'))} or better"
        case "auth_age", int():
            return "the customer had proved who they are just before"
        case "credential", str(kind):
            return f"the request had come with {CREDENTIALS[Credential(kind)]} of the same customer"
        case name, frozenset() as wanted:
            return f"{_fact(name)} had {_members(getattr(facts, name), wanted)}"
        case _:
            pass
    return f"{_fact(one.fact)} had been {listed(map(value_of, (one.value, *others)), 'or')}"


def _fact(name: str) -> str:
    return f"`{name}` ({FACTS[name].doc})"


def _members(current: AnyFact, wanted: frozenset[str]) -> str:
    """Return what a set would have had to lack or hold."""
    if not isinstance(current, frozenset):
        return f"been read, and been {value_of(wanted)}"
    gone, added = current - wanted, wanted - current
    parts = [f"not included {listed(map(shown, sorted(gone)), 'or')}"] if gone else []
    return listed([*parts, f"included {listed(map(shown, sorted(added)))}"] if added else parts)
