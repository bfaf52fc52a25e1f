"""Names of regions, and the codes they mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.countries import is_subdivision as in_policies
from gateway.core.subdivisions import SUBDIVISIONS
from geodb.reference import is_subdivision, normal, subdivision_named

NAMES = [
    ("US", "New York", "US-NY"),
    ("US", "NEW  YORK ", "US-NY"),
    ("US", "District of Columbia", "US-DC"),
    ("CA", "Quebec", "CA-QC"),
    ("CA", "Québec", "CA-QC"),
    ("UA", "Zaporizhzhia", "UA-23"),
    ("UA", "Zaporizhzhya Oblast", "UA-23"),
    ("UA", "Zaporizhia", "UA-23"),
    ("UA", "Kherson", "UA-65"),
    ("UA", "Kherson Oblast", "UA-65"),
    ("UA", "Donetsk", "UA-14"),
    ("UA", "Luhansk Oblast", "UA-09"),
    ("UA", "Crimea", "UA-43"),
    ("UA", "Sebastopol City", "UA-40"),
    ("UA", "Sevastopol", "UA-40"),
    ("UA", "Kharkivs\N{RIGHT SINGLE QUOTATION MARK}ka Oblast\u2019", "UA-63"),
    ("RU", "Crimea", "UA-43"),
    ("RU", "Sevastopol", "UA-40"),
    ("GB", "England", "GB-ENG"),
    ("GB", "Wales", "GB-WLS"),
    ("GB", "City of London", "GB-LND"),
    ("DE", "Bayern", "DE-BY"),
    ("DE", "Baden-Württemberg", "DE-BW"),
    ("CN", "Guangdong", "CN-GD"),
    ("NG", "Plateau State", "NG-PL"),
]


@pytest.mark.parametrize(("country", "name", "code"), NAMES)
def test_the_spellings_that_databases_use_mean_their_region(country: str, name: str, code: str) -> None:
    assert subdivision_named(country, name) == code


@pytest.mark.parametrize(
    ("country", "name"), [("UA", "Kyiv"), ("DE", "Atlantis"), ("XX", "New York"), ("DE", "New York"), ("US", "")]
)
def test_a_name_that_means_none_or_more_than_one_has_no_code(country: str, name: str) -> None:
    assert subdivision_named(country, name) is None


def test_every_code_that_a_name_leads_to_is_one_that_policies_may_name() -> None:
    from geodb.reference import _names

    codes = {code for table in _names().values() for code in table.values()}
    assert all(in_policies(code) and is_subdivision(code) for code in codes)


def test_both_packages_know_the_same_subdivisions() -> None:
    ours = {f"{country}-{rest}" for country, codes in SUBDIVISIONS.items() for rest in codes.split()}
    assert all(is_subdivision(code) for code in ours)
    assert not is_subdivision("US-ZZ")
    assert not is_subdivision("US")


@given(st.text(max_size=120))
def test_a_name_in_its_normal_form_stays_as_it_is(name: str) -> None:
    assert normal(normal(name)) == normal(name)
    assert len(normal(name)) <= 80
