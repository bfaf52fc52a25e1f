"""The codes that policies may name agree with ISO 3166, and with the way GeoIP databases use it."""

import pycountry
import pytest

from gateway.core.countries import CONTINENT_OF, RESERVED, US_TERRITORIES, WITHDRAWN, is_country, is_subdivision
from gateway.core.subdivisions import SUBDIVISIONS
from scripts.reference_data import TARGET, subdivisions_module


def test_the_countries_are_those_of_iso_3166_and_kosovo() -> None:
    assert set(CONTINENT_OF) == {country.alpha_2 for country in pycountry.countries} | {"XK"}


def test_no_country_lies_on_two_continents() -> None:
    assert set(CONTINENT_OF.values()) == {"AF", "AN", "AS", "EU", "NA", "OC", "SA"}
    sizes = [
        sum(1 for continent in CONTINENT_OF.values() if continent == name)
        for name in sorted(set(CONTINENT_OF.values()))
    ]
    assert sum(sizes) == 250


@pytest.mark.parametrize(
    ("country", "continent"),
    [("PT", "EU"), ("US", "NA"), ("PR", "NA"), ("GU", "OC"), ("RU", "EU"), ("TR", "AS"), ("CY", "EU"), ("AQ", "AN"),
     ("EG", "AF"), ("BR", "SA"), ("XK", "EU"), ("KP", "AS"), ("CU", "NA")],
)  # fmt: skip
def test_a_country_lies_where_geoip_databases_put_it(country: str, continent: str) -> None:
    assert CONTINENT_OF[country] == continent


def test_every_withdrawn_code_is_withdrawn_and_none_is_in_use_again() -> None:
    withdrawn = {country.alpha_2 for country in pycountry.historic_countries}
    assert set(WITHDRAWN) == withdrawn - set(CONTINENT_OF)


def test_what_replaced_a_withdrawn_or_reserved_code_is_in_use() -> None:
    for code, instead in {**WITHDRAWN, **RESERVED}.items():
        named = [word.strip(",") for word in instead.split() if len(word.strip(",")) == 2 and word.isupper()]
        assert named or code == "SU"
        assert all(is_country(word) for word in named), code


def test_the_territories_of_the_united_states_are_countries_and_subdivisions() -> None:
    for code in US_TERRITORIES:
        assert is_country(code)
        assert is_subdivision(f"US-{code}")


@pytest.mark.parametrize("code", ["PT", "XK", "NO", "US"])
def test_a_code_in_use_is_a_country(code: str) -> None:
    assert is_country(code)


@pytest.mark.parametrize("code", ["", "UK", "AN", "EU", "AP", "ZZ", "us", "USA", "US ", "T1", "??"])
def test_anything_else_is_no_country(code: str) -> None:
    assert not is_country(code)


@pytest.mark.parametrize("code", ["US-NY", "UA-43", "UA-40", "UA-14", "UA-09", "PT-11", "GB-ENG", "CN-HK"])
def test_a_code_in_use_is_a_subdivision(code: str) -> None:
    assert is_subdivision(code)


@pytest.mark.parametrize("code", ["", "US", "US-", "-NY", "US-ZZ", "us-ny", "US-NY-1", "US-NY ", "US-AK AL", "XK-01"])
def test_anything_else_is_no_subdivision(code: str) -> None:
    assert not is_subdivision(code)


def test_the_subdivisions_are_what_the_script_writes() -> None:
    assert TARGET.read_text(encoding="utf-8") == subdivisions_module(), "run `python scripts/reference_data.py`"


def test_every_subdivision_belongs_to_a_country() -> None:
    assert set(SUBDIVISIONS) <= set(CONTINENT_OF)
    assert sum(len(codes.split()) for codes in SUBDIVISIONS.values()) == len(pycountry.subdivisions)
