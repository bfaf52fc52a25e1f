"""Codes that are countries, and codes that are not."""

import pycountry
import pytest

from gateway.core.countries import CONTINENT_OF, RESERVED, WITHDRAWN
from geodb.codes import COUNTRIES, PLACEHOLDERS, placeholder


def test_the_countries_are_those_of_iso_3166_1_and_kosovo() -> None:
    assigned = {country.alpha_2 for country in pycountry.countries}
    assert assigned | {"XK"} == COUNTRIES


def test_every_country_that_a_database_may_name_has_a_continent() -> None:
    assert CONTINENT_OF.keys() == COUNTRIES


def test_no_placeholder_withdrawn_or_reserved_code_is_a_country() -> None:
    assert COUNTRIES.isdisjoint({*PLACEHOLDERS, *WITHDRAWN, *RESERVED})


@pytest.mark.parametrize("code", ["EU", "AP", "??", "ZZ", "AN", "T1", "A1", "A2", "O1"])
def test_what_stands_where_a_country_should_is_told_in_words(code: str) -> None:
    assert placeholder(code) == f"`{code}` is {PLACEHOLDERS[code]}"


def test_an_unheard_of_code_is_told_as_such_and_cut() -> None:
    assert placeholder("UK") == "`UK` is not a country code of ISO 3166-1"
    assert len(placeholder("x" * 10_000)) < 80
