"""From what several sources said to one fact of each kind.

A source that answers counts; one that is silent does not, unless all are; one that failed makes the fact uncertain,
because nobody can know what it would have said.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from gateway.adapters.geoip.overrides import Named
from gateway.core.countries import CONTINENT_OF
from gateway.core.facts import Fact, OneOf, Unknown
from gateway.core.login import Place
from gateway.core.terms import WhyUnknown
from geodb.networks import NetworkList
from geodb.reader import Source
from geodb.record import GeoRecord, Missing, Why

Heard = tuple[Sequence[Any], WhyUnknown | None, WhyUnknown]
"""The different answers; why a source that counts could not be heard; why there is no answer, where there is none."""

NOT_CONFIGURED: Final[Heard] = ((), None, WhyUnknown.NOT_CONFIGURED)
SPECIAL_PURPOSE: Final[Heard] = ((), None, WhyUnknown.SPECIAL_PURPOSE)

_HIDDEN_SOMEHOW: Final = ("public_proxy", "relay", "residential_proxy", "tor", "vpn")
_REGIONS_OF: Final = {code: frozenset({f"{code}-"}) for code in CONTINENT_OF}


class Panel:
    """The sources of one question about one address. Each is asked once, however many facts it serves."""

    __slots__ = ("_first", "_key", "_oldest", "_said")

    def __init__(self, key: str | None, *, first: bool, oldest: int | None) -> None:
        """Build for an address; None for one of special purpose, which no source is asked about.

        With `first`, none is asked after the first that answers. A source built before `oldest` (seconds since the
        epoch) counts as one that could not be heard.
        """
        self._key = key
        self._first = first
        self._oldest = oldest
        self._said: dict[int, GeoRecord | Missing] = {}

    def hear(self, sources: tuple[Source, ...], pick: Callable[[GeoRecord], Any]) -> Heard:
        """Return what the sources say of one fact, which `pick` takes from a record."""
        if not sources:
            return NOT_CONFIGURED
        if self._key is None:
            return SPECIAL_PURPOSE
        answers: list[Any] = []
        failed: WhyUnknown | None = None
        silent = WhyUnknown.NO_RECORD
        for source in sources:
            if self._oldest is not None and (source.edition.built_at or 0) < self._oldest:
                failed = failed or WhyUnknown.EDITION_TOO_OLD
                continue
            said = self._said.get(id(source))
            if said is None:
                said = self._said[id(source)] = source.read(self._key)
            if isinstance(said, Missing):
                if said.why is Why.LOOKUP_FAILED:
                    failed = WhyUnknown.LOOKUP_FAILED
                continue
            answer = pick(said)
            if answer is None:
                if said.placeholder is not None:
                    silent = WhyUnknown.PSEUDO_CODE
            elif self._first:
                return (answer,), failed, silent
            elif answer not in answers:
                answers.append(answer)
        return answers, failed, silent


def single(heard: Heard) -> Any:  # noqa: ANN401 - a country, or an AS number
    """Return the fact of which there is exactly one."""
    answers, failed, silent = heard
    if failed is not None:
        return Unknown(failed)
    if not answers:
        return Unknown(silent)
    return answers[0] if len(answers) == 1 else OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset(answers))


def continent(country: Fact[str]) -> Fact[str]:
    """Return the continent of a country that may be uncertain."""
    if isinstance(country, str):
        return CONTINENT_OF[country]
    if isinstance(country, Unknown):
        return country
    possible = frozenset(CONTINENT_OF[code] for code in country.values)
    return next(iter(possible)) if len(possible) == 1 else OneOf(country.why, possible)


def subdivision(country: Fact[str], heard: Heard, named: Named) -> Fact[str]:
    """Return the region: one that was answered, any of the country's, or either where the two contradict each other.

    The sources of the country decide what country it is; a region elsewhere is a doubt, and never a correction.
    """
    if named.subdivision is not None:
        return named.subdivision
    if isinstance(country, Unknown):
        return country
    answers, failed, silent = heard
    if isinstance(country, str):
        possible = frozenset({country})
        if named.country is not None:
            answers = [region for region in answers if region.startswith(f"{country}-")]
        if not answers:
            return OneOf(failed or silent, frozenset(), _REGIONS_OF[country])
    else:
        possible = country.values
    placed = {region.partition("-")[0] for region in answers}
    anywhere_in = frozenset(f"{code}-" for code in possible if failed is not None or code not in placed)
    if len(answers) == 1 and not anywhere_in:
        region: str = answers[0]
        return region
    why = failed or (WhyUnknown.SOURCES_DISAGREE if answers else silent)
    return OneOf(why, frozenset(answers), anywhere_in)


def place(country: Fact[str], heard: Heard) -> Place | None:
    """Return the one place that the sources of a certain country name; a doubtful place is none."""
    answers, failed, _ = heard
    places = [area for code, area in answers if code == country]
    return Place(*places[0]) if failed is None and len(places) == 1 else None


def network(
    heard: Heard, named: Named, lists: tuple[tuple[str, NetworkList], ...], packed: bytes, *, special: bool
) -> Fact[frozenset[str]]:
    """Return the names of all that the address belongs to. What the databases do not name is an ordinary network."""
    if named.network is not None:
        return named.network
    if heard is NOT_CONFIGURED and not lists:
        return Unknown(WhyUnknown.NOT_CONFIGURED)
    if special:
        return Unknown(WhyUnknown.SPECIAL_PURPOSE)
    answers, failed, _ = heard
    if failed is not None:
        return Unknown(failed)
    names = frozenset(name for name, one in lists if one.contains(packed)).union(*answers)
    if "anonymous" not in names:
        return names
    # Hidden, and nobody says how: it is one of the ways there are.
    return OneOf(WhyUnknown.NO_RECORD, frozenset(names - {"anonymous"} | {way} for way in _HIDDEN_SOMEHOW))
