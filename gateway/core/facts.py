"""Facts: the complete, immutable input of one verdict."""

from typing import Any, NamedTuple, TypeAlias, TypeVar

from gateway.core.terms import Credential, Operation, Status, TokenState, Verification, WhyUnknown

Scalar = str | int | float | None
"""A plain value; None is "there is none", which is knowledge."""
Value = Scalar | frozenset[str]
T = TypeVar("T")


class Unknown(NamedTuple):
    """A fact that may have any value at all."""

    why: WhyUnknown


class OneOf(NamedTuple):
    """A fact that has one of `values`, or any value that begins with one of `prefixes` (`"US-"`)."""

    why: WhyUnknown
    values: frozenset[Any]
    prefixes: frozenset[str] = frozenset()


Uncertain = Unknown | OneOf
Fact: TypeAlias = T | Unknown | OneOf
"""A fact that conditions may name: known for certain, one of several values, or anything."""

AnyFact = Value | Unknown | OneOf

_NOT_SUPPLIED = Unknown(WhyUnknown.NOT_SUPPLIED)
_NOT_CONFIGURED = Unknown(WhyUnknown.NOT_CONFIGURED)
_EMPTY: frozenset[str] = frozenset()


class Facts(NamedTuple):
    """All that a verdict may depend on. Field names are the names that conditions use.

    Enumerated facts hold the plain strings of their terms. Defaults are what an unauthenticated request from an
    unexamined address has: connection facts Unknown, account facts empty.
    """

    at: int
    """The instant of the decision, microseconds since the epoch, UTC. Rules speak of it by `in_force`."""
    operation: Operation

    country: Fact[str] = _NOT_SUPPLIED
    subdivision: Fact[str] = _NOT_SUPPLIED
    continent: Fact[str] = _NOT_SUPPLIED
    asn: Fact[int] = _NOT_SUPPLIED
    network: Fact[frozenset[str]] = _NOT_SUPPLIED

    credential: Fact[str] = Credential.NONE
    token: Fact[str] = TokenState.ABSENT
    assurance: Fact[int] = 0
    auth_age: Fact[int | None] = None
    """Whole seconds since the subject proved who it is; None where nobody did."""

    account: Fact[str | None] = None
    status: Fact[str] = Status.NONE
    flags: Fact[frozenset[str]] = _EMPTY
    verification: Fact[str] = Verification.NONE
    documents: Fact[frozenset[str]] = _EMPTY
    residence: Fact[str | None] = None
    nationality: Fact[str | None] = None
    holds: Fact[frozenset[str]] = _EMPTY

    signals: Fact[frozenset[str]] = _NOT_CONFIGURED
    risk: Fact[str] = _NOT_CONFIGURED

    amount_usd: Fact[float | None] = _NOT_CONFIGURED
    destination: Fact[str | None] = _NOT_CONFIGURED
    withdrawn_today_usd: Fact[float | None] = _NOT_CONFIGURED


CONNECTION_FACTS = ("country", "subdivision", "continent", "asn", "network")
CREDENTIAL_FACTS = ("credential", "token", "assurance", "auth_age")
ACCOUNT_FACTS = ("account", "status", "flags", "verification", "documents", "residence", "nationality", "holds")

_SETS = frozenset({"network", "flags", "documents", "holds", "signals"})


def is_certain(fact: AnyFact) -> bool:
    """Return whether the fact has exactly one possible value."""
    return not isinstance(fact, Unknown | OneOf)


def to_json(facts: Facts) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the certain facts and the uncertain ones, as JSON values in field order, sets sorted.

    `at` is left out: it belongs to the record that carries the facts. An uncertain fact is
    `{"why": code}` or `{"why": code, "one_of": [...], "prefixes": [...]}`.
    """
    known: dict[str, Any] = {}
    uncertain: dict[str, Any] = {}
    for name, fact in zip(facts._fields[1:], facts[1:], strict=True):
        if isinstance(fact, Unknown):
            uncertain[name] = {"why": str(fact.why)}
        elif isinstance(fact, OneOf):
            uncertain[name] = {
                "why": str(fact.why),
                "one_of": sorted((_plain(value) for value in fact.values), key=_sort_key),
                "prefixes": sorted(fact.prefixes),
            }
        else:
            known[name] = _plain(fact)
    return known, uncertain


def from_json(at: int, known: dict[str, Any], uncertain: dict[str, Any]) -> Facts:
    """Return the Facts that `to_json` took apart. Raise KeyError or ValueError on a name or code that is not ours."""
    values: dict[str, Any] = {}
    for name, value in known.items():
        _known_name(name)
        values[name] = frozenset(value) if name in _SETS else value
    for name, entry in uncertain.items():
        _known_name(name)
        why = WhyUnknown(entry["why"])
        if "one_of" in entry:
            options = frozenset(frozenset(value) if name in _SETS else value for value in entry["one_of"])
            values[name] = OneOf(why, options, frozenset(entry.get("prefixes", ())))
        else:
            values[name] = Unknown(why)
    values["operation"] = Operation(values["operation"])
    return Facts(at=at, **values)


def _plain(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    return sorted(value) if isinstance(value, frozenset) else value


def _sort_key(value: Any) -> tuple[bool, str]:  # noqa: ANN401 - a JSON value
    return (value is not None, str(value))


def _known_name(name: str) -> None:
    if name not in Facts._fields or name == "at":
        msg = f"unknown fact `{name}`"
        raise KeyError(msg)
