import pytest

from gateway.policies.schema import FACTS, Kind
from gateway.policies.values import of_kind, problem


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("country", "NO"),
        ("country", "XK"),
        ("documents", "US"),
        ("subdivision", "US-NY"),
        ("continent", "EU"),
        ("asn", 64_500),
        ("asn", 0),
        ("assurance", 3),
        ("status", "open"),
        ("operation", "trade.spot"),
        ("amount_usd", 0.5),
        ("amount_usd", 10),
        ("account", "alice"),
        ("flags", "anything"),
        ("network", "tor"),
    ],
)
def test_what_a_fact_can_hold_has_no_problem(fact, value):
    assert problem(FACTS[fact], value) is None


@pytest.mark.parametrize(
    ("fact", "value", "message"),
    [
        ("country", "UK", "`UK` is not a country code of ISO 3166-1: did you mean `GB`?"),
        ("country", "EL", "`EL` is not a country code of ISO 3166-1: did you mean `GR`?"),
        ("country", "us", "country codes are written in capitals: did you mean `US`?"),
        ("country", "SU", "the country code `SU` was withdrawn: write"),
        ("country", "QQ", "`QQ` is not a country code of ISO 3166-1"),
        ("country", "", "`` is not a country code of ISO 3166-1"),
        ("residence", "USA", "`USA` is not a country code of ISO 3166-1: did you mean `US`?"),
        ("country", 7, "`7` cannot be a value of `country`, which is a text: put it in quotes"),
        ("country", True, "`True` cannot be a value of `country`, which is a text"),
        ("country", None, "`None` cannot be a value of `country`, which is a text"),
        ("subdivision", "US-ZZ", "`US-ZZ` is not a subdivision code of ISO 3166-2"),
        ("subdivision", "us-ny", "subdivision codes are written in capitals: did you mean `US-NY`?"),
        ("subdivision", "NY", "`NY` is not a subdivision code of ISO 3166-2, such as `US-NY`"),
        ("subdivision", "UK-LND", "such as `US-NY`: `UK` is not a country code of ISO 3166-1: did you mean `GB`?"),
        ("continent", "Europe", "`Europe` is no value of `continent`"),
        ("status", "opne", "`opne` is no value of `status`: did you mean `open`?"),
        ("operation", "trade", "`trade` is no value of `operation`: name each of `trade.spot`, `trade.futures`"),
        ("assurance", 4, "`4` is no value of `assurance`: it is one of `0`, `1`, `2`, `3`"),
        ("asn", "7", "`7` cannot be a value of `asn`, which is a number"),
        ("asn", 2**32, "is no autonomous system number: 0 to 4294967295"),
        ("asn", -1, "`-1` is no autonomous system number"),
        ("asn", 1.5, "`1.5` is no autonomous system number"),
        ("amount_usd", float("inf"), "`inf` is too large for a number"),
        ("flags", "", "an empty text is no value of any fact"),
    ],
)
def test_what_no_fact_ever_holds_is_named_with_what_was_meant(fact, value, message):
    said = problem(FACTS[fact], value)
    assert said is not None
    assert message in said


def test_a_country_without_subdivisions_has_none_to_suggest():
    assert of_kind(Kind.SUBDIVISION, "QQ-1") == (
        "`QQ-1` is not a subdivision code of ISO 3166-2, such as `US-NY`: `QQ` is not a country code of ISO 3166-1"
    )
