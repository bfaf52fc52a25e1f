"""Decisions that are alike in all that policies ask, but for what belongs to one alone: what a simulation is fed."""

from typing import Any, Final, NamedTuple

ALONE: Final = ("account", "asn", "auth_age", "amount_usd", "withdrawn_today_usd")
"""Facts with about as many values as there are customers or requests. Of these a matter says only whether there is
one; what it is stands beside the matter, so that all who differ in nothing else share it."""


class Alike(NamedTuple):
    """The decisions of one ruling within a stretch of time."""

    ruling: int
    """What the moment that told of it calls the ruling."""
    matter: bytes
    """16 bytes: the same for all rulings whose facts, bundle and verdict differ in nothing but facts in `ALONE`; zeros
    where the ruling could not be read."""
    account: str | None
    address: bytes | None
    """The client's, as `core.search.packed` has it; None where there is none, or a digest stands in its place."""
    asn: bytes | None
    """The autonomous system, four bytes, where it is certain."""
    decisions: int
    earliest: int
    latest: int
    """Instants, microseconds since the epoch, between which all of them were made; not always the nearest ones."""


class Each(NamedTuple):
    """One decision of a ruling."""

    ruling: int
    id: bytes
    at: int
    auth_age: int | None


def matter_of(ruling: dict[str, Any]) -> list[object]:
    """Return all of a ruling document that makes its matter, as JSON values. Raise KeyError or AttributeError."""
    facts = ruling["facts"]
    if facts is not None:
        facts = dict(facts)
        for name in ALONE:
            if facts.get(name) is not None:
                facts[name] = True
    erased = "account" in ruling.get("erased", ())
    return [facts, ruling["unknown"], ruling["bundle"], ruling["verdict"], erased]
