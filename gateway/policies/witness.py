"""Facts that show something, with as little about them as possible that is not usual."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from gateway.core.countries import CONTINENT_OF
from gateway.core.facts import AnyFact, Facts, OneOf, Unknown
from gateway.policies.domains import Domain, natural, ordinary
from gateway.policies.schema import FACTS

_TRIED: Final = 64
"""Certain values tried in place of an uncertain one."""
_SHOWN: Final = 6
_PLACE: Final = ("subdivision", "continent")


def plainest(facts: Facts, shows: Callable[[Facts], bool], domains: Mapping[str, Domain]) -> Facts:
    """Return facts that show the same, each of them usual where that is possible, else certain where that is."""
    plain = ordinary(domains)
    for name in plain:
        value = getattr(facts, name)
        for one in _plainer(value, plain[name], domains.get(name)):
            if shows(tried := _with(facts, name, one)):
                facts = tried
                break
        if isinstance(members := getattr(facts, name), frozenset):
            for member in sorted(members):
                if shows(tried := _with(facts, name, getattr(facts, name) - {member})):
                    facts = tried
    return _placed(facts, shows)


def told(facts: Facts, domains: Mapping[str, Domain]) -> tuple[str, ...]:
    """Return what is not usual about facts, each with its name; nothing of the operation and the instant."""
    plain = ordinary(domains)
    if isinstance(facts.country, str):
        plain |= {name: (plain[name], natural(facts.country)[name]) for name in _PLACE}
    return tuple(
        f"{name} {in_words(value)}"
        for name in FACTS
        if name in plain
        and (value := getattr(facts, name)) != plain[name]
        and not (isinstance(plain[name], tuple) and value in plain[name])
    )


def in_words(value: AnyFact) -> str:
    """Return the value of a fact, short."""
    match value:
        case Unknown():
            return "unknown"
        case OneOf(_, values, prefixes):
            options = [in_words(one) for one in sorted(values, key=_order)] + [f"{one}…" for one in sorted(prefixes)]
            return f"uncertain ({_cut(options, ' or ')})"
        case frozenset():
            return _cut(sorted(value), " and ") if value else "empty"
        case None:
            return "none"
        case _:
            return str(value)


def _with(facts: Facts, name: str, value: Any) -> Facts:  # noqa: ANN401 - a value of that fact
    return facts._replace(**{name: value})


def _cut(parts: list[str], joint: str) -> str:
    more = f" and {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else ""
    return joint.join(parts[:_SHOWN]) + more


def _order(value: Any) -> tuple[bool, int, Any]:  # noqa: ANN401 - values of one fact
    if isinstance(value, frozenset):
        return False, len(value), sorted(value)
    return value is None, 0, 0 if value is None else value


def _plainer(value: AnyFact, plain: AnyFact, domain: Domain | None) -> Iterator[AnyFact]:
    """Yield what might stand in place of a value, the plainest first."""
    if value != plain:
        yield plain
    if isinstance(value, Unknown) and domain is not None:
        yield from islice(domain.of_mask(domain.everything), _TRIED) if not domain.is_set else ()
    if isinstance(value, OneOf):
        options = sorted(value.values, key=_order)[:_TRIED]
        yield from options
        yield Unknown(value.why)
        members = sorted(frozenset[str]().union(*(one for one in options if isinstance(one, frozenset))))
        yield from (OneOf(value.why, frozenset({plain, frozenset({one})})) for one in members[:_TRIED])
        yield from (OneOf(value.why, frozenset({plain, one})) for one in options)
        yield from (OneOf(value.why, frozenset({options[0], one})) for one in options[1:])


def _placed(facts: Facts, shows: Callable[[Facts], bool]) -> Facts:
    """Return the facts with a part of the country and a continent that belong to the country, where that shows it."""
    part = facts.subdivision
    if isinstance(part, str) and isinstance(facts.country, str) and not part.startswith(facts.country):
        country = part.partition("-")[0]
        inside = natural(facts.country)["subdivision"]
        tries = ({"subdivision": inside}, {"country": country, "continent": CONTINENT_OF.get(country, facts.continent)})
        facts = next((tried for one in tries if shows(tried := facts._replace(**one))), facts)
    if isinstance(facts.country, str):
        moved = facts._replace(continent=CONTINENT_OF.get(facts.country, facts.continent))
        facts = moved if shows(moved) else facts
    return facts
