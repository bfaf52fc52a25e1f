"""Several sources, one fact."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.geoip.combine import (
    NOT_CONFIGURED,
    SPECIAL_PURPOSE,
    Panel,
    continent,
    network,
    single,
    subdivision,
)
from gateway.adapters.geoip.overrides import NOTHING, Named
from gateway.core.facts import OneOf, Unknown
from gateway.core.terms import WhyUnknown
from geodb.record import NOWHERE, GeoRecord, Missing, Why

NO_RECORD, PSEUDO = WhyUnknown.NO_RECORD, WhyUnknown.PSEUDO_CODE
FAILED, OLD, DISAGREE = WhyUnknown.LOOKUP_FAILED, WhyUnknown.EDITION_TOO_OLD, WhyUnknown.SOURCES_DISAGREE
SILENT, BROKEN, PLACEHOLDER = NOWHERE, Missing(Why.LOOKUP_FAILED, "damaged"), GeoRecord(placeholder="`EU` is …")
US, CA, DE = GeoRecord("US"), GeoRecord("CA"), GeoRecord("DE")


def country(record: GeoRecord) -> str | None:
    return record.country


def one_of(*values: str) -> OneOf:
    return OneOf(DISAGREE, frozenset(values))


ANY = [
    ([US], "US"),
    ([US, US], "US"),
    ([US, CA], one_of("US", "CA")),
    ([US, SILENT], "US"),
    ([SILENT, PLACEHOLDER, US], "US"),
    ([SILENT], Unknown(NO_RECORD)),
    ([SILENT, PLACEHOLDER], Unknown(PSEUDO)),
    ([PLACEHOLDER, SILENT], Unknown(PSEUDO)),
    ([GeoRecord()], Unknown(NO_RECORD)),
    ([BROKEN], Unknown(FAILED)),
    ([US, BROKEN], Unknown(FAILED)),
    ([BROKEN, US, CA], Unknown(FAILED)),
    ([PLACEHOLDER, BROKEN], Unknown(FAILED)),
]
FIRST = [
    ([US, CA], "US"),
    ([SILENT, CA, US], "CA"),
    ([PLACEHOLDER, SILENT], Unknown(PSEUDO)),
    ([US, BROKEN], "US"),
    ([BROKEN, US], Unknown(FAILED)),
]


@pytest.mark.parametrize(("said", "fact"), ANY)
def test_with_any_every_answer_counts_and_every_failure_is_a_doubt(told: Any, said: list[Any], fact: Any) -> None:
    assert single(Panel("x", first=False, oldest=None).hear(tuple(map(told, said)), country)) == fact


@pytest.mark.parametrize(("said", "fact"), FIRST)
def test_with_first_the_first_answer_holds_unless_one_before_it_failed(told: Any, said: list[Any], fact: Any) -> None:
    assert single(Panel("x", first=True, oldest=None).hear(tuple(map(told, said)), country)) == fact


def test_with_first_none_is_asked_after_the_one_that_answered(told: Any) -> None:
    sources = (told(SILENT), told(US), told(CA))
    Panel("x", first=True, oldest=None).hear(sources, country)
    assert [source.asked for source in sources] == [1, 1, 0]


def test_a_source_is_asked_once_however_many_facts_it_serves(told: Any) -> None:
    source = told(GeoRecord("US", "US-NY"))
    panel = Panel("x", first=False, oldest=None)
    assert panel.hear((source,), country)[0] == ["US"]
    assert panel.hear((source,), lambda record: record.subdivision)[0] == ["US-NY"]
    assert source.asked == 1


def test_a_source_that_is_too_old_counts_as_one_that_was_not_heard(told: Any) -> None:
    old, undated, new = told(US, built_at=99), told(US, built_at=None), told(CA, built_at=100)
    hear = lambda *sources: single(Panel("x", first=False, oldest=100).hear(sources, country))  # noqa: E731
    assert hear(new) == "CA"
    assert hear(old) == hear(undated) == hear(new, old) == Unknown(OLD)
    assert hear(old, told(BROKEN, built_at=100)) == hear(told(BROKEN, built_at=100), old) == Unknown(FAILED)
    assert old.asked == 0


def test_nobody_is_asked_about_a_special_address_nor_without_a_source(told: Any) -> None:
    source = told(US)
    assert Panel(None, first=False, oldest=None).hear((source,), country) is SPECIAL_PURPOSE
    assert Panel("x", first=False, oldest=None).hear((), country) is NOT_CONFIGURED
    assert Panel(None, first=False, oldest=None).hear((), country) is NOT_CONFIGURED
    assert source.asked == 0


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        ("US", "NA"),
        (one_of("US", "CA"), "NA"),
        (one_of("US", "DE"), one_of("NA", "EU")),
        (Unknown(NO_RECORD), Unknown(NO_RECORD)),
    ],
)
def test_the_continent_follows_from_the_country(fact: Any, expected: Any) -> None:
    assert continent(fact) == expected


def regions(why: WhyUnknown, values: tuple[str, ...], *prefixes: str) -> OneOf:
    return OneOf(why, frozenset(values), frozenset(prefixes))


REGION = [
    ("known", "US", (["US-NY"], None, NO_RECORD), "US-NY"),
    ("not known", "DE", ([], None, NO_RECORD), regions(NO_RECORD, (), "DE-")),
    ("not configured", "DE", NOT_CONFIGURED, regions(WhyUnknown.NOT_CONFIGURED, (), "DE-")),
    ("two answers", "US", (["US-NY", "US-NJ"], None, NO_RECORD), regions(DISAGREE, ("US-NY", "US-NJ"))),
    ("a failure beside an answer", "US", (["US-NY"], FAILED, NO_RECORD), regions(FAILED, ("US-NY",), "US-")),
    ("a failure alone", "US", ([], OLD, NO_RECORD), regions(OLD, (), "US-")),
    ("a region elsewhere", "RU", (["UA-43"], None, NO_RECORD), regions(DISAGREE, ("UA-43",), "RU-")),
    ("here and elsewhere", "RU", (["UA-43", "RU-KDA"], None, NO_RECORD), regions(DISAGREE, ("UA-43", "RU-KDA"))),
    ("known in one of two countries", one_of("US", "CA"), (["US-NY"], None, NO_RECORD),
     regions(DISAGREE, ("US-NY",), "CA-")),
    ("known in each of two countries", one_of("US", "CA"), (["US-NY", "CA-ON"], None, NO_RECORD),
     regions(DISAGREE, ("US-NY", "CA-ON"))),
    ("known in neither", one_of("US", "CA"), ([], None, NO_RECORD), regions(NO_RECORD, (), "US-", "CA-")),
    ("the country is not known", Unknown(NO_RECORD), (["US-NY"], None, NO_RECORD), Unknown(NO_RECORD)),
]  # fmt: skip


@pytest.mark.parametrize(("where", "heard", "fact"), [row[1:] for row in REGION], ids=[row[0] for row in REGION])
def test_an_uncertain_region_is_one_of_its_country(where: Any, heard: Any, fact: Any) -> None:
    assert subdivision(where, heard, NOTHING) == fact


def test_an_override_of_the_country_silences_regions_elsewhere() -> None:
    heard = (["US-NY"], None, NO_RECORD)
    assert subdivision("DE", heard, Named(country="DE")) == regions(NO_RECORD, (), "DE-")
    assert subdivision("US", heard, Named(country="US")) == "US-NY"
    assert subdivision("US", heard, Named("US", "US-TX")) == "US-TX"


class Holding:
    """A list that holds every address, or none."""

    def __init__(self, *, holds: bool) -> None:
        self.holds = holds

    def contains(self, packed: bytes) -> bool:
        assert len(packed) == 4
        return self.holds


LISTS: Any = (("tor", Holding(holds=True)), ("office", Holding(holds=False)))
PACKED = bytes(4)


def flags(*names: str) -> Any:
    return [frozenset(names)] if names else [], None, NO_RECORD


@pytest.mark.parametrize(
    ("heard", "lists", "fact"),
    [
        (NOT_CONFIGURED, (), Unknown(WhyUnknown.NOT_CONFIGURED)),
        (NOT_CONFIGURED, LISTS, frozenset({"tor"})),
        (flags(), (), frozenset()),
        (flags("vpn"), LISTS, frozenset({"vpn", "tor"})),
        (([frozenset({"vpn"}), frozenset({"hosting"})], None, NO_RECORD), (), frozenset({"vpn", "hosting"})),
        (([frozenset({"vpn"})], FAILED, NO_RECORD), LISTS, Unknown(FAILED)),
    ],
)
def test_a_network_is_all_that_any_source_calls_it(heard: Any, lists: Any, fact: Any) -> None:
    assert network(heard, NOTHING, lists, PACKED, special=False) == fact


def test_hidden_nobody_says_how_is_one_of_the_ways_there_are() -> None:
    fact = network(flags("anonymous", "hosting"), NOTHING, (), PACKED, special=False)
    assert isinstance(fact, OneOf)
    assert fact.why is NO_RECORD
    assert frozenset({"hosting", "tor"}) in fact.values
    assert frozenset({"hosting"}) not in fact.values
    assert all("anonymous" not in names for names in fact.values)


def test_a_special_address_belongs_to_no_network_that_anyone_could_name() -> None:
    assert network(NOT_CONFIGURED, NOTHING, LISTS, PACKED, special=True) == Unknown(WhyUnknown.SPECIAL_PURPOSE)
    assert network(SPECIAL_PURPOSE, Named(network=frozenset({"office"})), LISTS, PACKED, special=True) == {"office"}


_SAID = st.sampled_from([US, CA, DE, SILENT, PLACEHOLDER, BROKEN, GeoRecord("US", "US-NY"), GeoRecord("CA", "CA-ON")])


def _possible(fact: Any, universe: tuple[str, ...]) -> frozenset[str]:
    if isinstance(fact, Unknown):
        return frozenset(universe)
    if isinstance(fact, OneOf):
        return fact.values | {value for value in universe if value.startswith(tuple(fact.prefixes) or "\0")}
    return frozenset({fact})


COUNTRIES = ("US", "CA", "DE", "FR")
REGIONS = ("US-NY", "US-TX", "CA-ON", "DE-BY", "FR-IDF")


@given(st.lists(_SAID, min_size=1, max_size=4), st.data())
def test_forgetting_what_a_source_says_never_makes_a_fact_more_certain(
    told: Any, said: list[Any], data: st.DataObject
) -> None:
    """A source that fails may have said what it said before: every value possible then is possible still."""
    broken = data.draw(st.integers(0, len(said) - 1))
    before, after = ([*said], [*said[:broken], BROKEN, *said[broken + 1 :]])
    places = []
    for answers in (before, after):
        panel, sources = Panel("x", first=False, oldest=None), tuple(map(told, answers))
        where = single(panel.hear(sources, country))
        region = subdivision(where, panel.hear(sources, lambda record: record.subdivision), NOTHING)
        places.append((_possible(where, COUNTRIES), _possible(region, REGIONS)))
    assert places[0][0] <= places[1][0]
    assert places[0][1] <= places[1][1]


@given(st.lists(_SAID, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_sources_never_matters_to_any(told: Any, said: list[Any], chance: Any) -> None:
    shuffled = [*said]
    chance.shuffle(shuffled)
    facts = [
        single(Panel("x", first=False, oldest=None).hear(tuple(map(told, answers)), country))
        for answers in (said, shuffled)
    ]
    assert facts[0] == facts[1]
