"""Facts that show something, with nothing about them that need not be."""

from typing import Any

import pytest

from gateway.core.facts import Facts, OneOf, Unknown
from gateway.core.terms import Operation, WhyUnknown
from gateway.policies.atoms import Among, Overlaps
from gateway.policies.domains import domains, ordinary
from gateway.policies.witness import in_words, plainest, told

DOMAINS = domains(
    [
        Among("country", frozenset({"US", "CA"})),
        Among("subdivision", frozenset({"US-NY"})),
        Overlaps("flags", frozenset({"a", "b"})),
    ]
)


def facts(**stated: Any) -> Facts:
    return Facts(at=0, operation=Operation.VIEW, **{**ordinary(DOMAINS), **stated})


def test_what_does_not_matter_becomes_usual() -> None:
    found = plainest(facts(country="US", status="flagged"), lambda one: one.country == "US", DOMAINS)
    assert told(found, DOMAINS) == ("country US",)


def test_what_may_be_certain_becomes_certain() -> None:
    unknown = Unknown(WhyUnknown.NO_RECORD)
    found = plainest(facts(country=unknown), lambda one: one.country in {"CA", unknown}, DOMAINS)
    assert told(found, DOMAINS) == ("country CA",)


def test_what_has_to_be_in_doubt_is_in_as_little_as_does() -> None:
    doubt = OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset({"US", "CA", "PT", "DE"}))

    def torn(one: Facts) -> bool:
        return isinstance(one.country, OneOf) and len(one.country.values) > 1 and "US" in one.country.values

    (said,) = told(plainest(facts(country=doubt), torn, DOMAINS), DOMAINS)
    assert said == "country uncertain (PT or US)"


def test_a_set_keeps_the_members_that_matter() -> None:
    found = plainest(facts(flags=frozenset({"a", "b"})), lambda one: "b" in one.flags, DOMAINS)  # type: ignore[operator]
    assert told(found, DOMAINS) == ("flags b",)


def test_a_part_of_a_country_lies_in_it() -> None:
    found = plainest(facts(subdivision="US-NY"), lambda one: one.subdivision == "US-NY", DOMAINS)
    assert (found.country, found.continent) == ("US", "NA")
    moved = plainest(facts(country="US"), lambda one: one.country == "US", DOMAINS)
    assert str(moved.subdivision).startswith("US-")
    assert moved.subdivision != "US-NY"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "none"),
        (frozenset(), "empty"),
        (frozenset({"b", "a"}), "a and b"),
        (Unknown(WhyUnknown.NO_RECORD), "unknown"),
        (OneOf(WhyUnknown.NO_RECORD, frozenset({None, "US"}), frozenset({"U"})), "uncertain (US or none or U…)"),
        (300, "300"),
    ],
)
def test_values_are_told_in_few_words(value: Any, words: str) -> None:
    assert in_words(value) == words


def test_long_lists_are_cut() -> None:
    assert in_words(frozenset("abcdefgh")) == "a and b and c and d and e and f and 2 more"
