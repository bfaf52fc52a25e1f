"""What identifies the data behind an answer."""

from pathlib import Path

import pytest

from geodb.edition import Edition, slug

EDITION = Edition("dbip-country-lite", Path("country.mmdb"), "x (Country)", 1_780_272_000, "1a2b3c4d" * 8, 10)


def test_an_edition_is_cited_by_name_date_and_the_head_of_its_digest() -> None:
    assert str(EDITION) == "dbip-country-lite@2026-06-01#1a2b3c4d"


def test_a_source_without_a_date_is_cited_by_its_version() -> None:
    assert str(EDITION._replace(built_at=None, version="3.3.170")) == "dbip-country-lite@3.3.170#1a2b3c4d"
    assert EDITION._replace(built_at=None).date == "undated"


def test_age_is_counted_from_the_date_of_the_data() -> None:
    assert EDITION.age_s((1_780_272_000 + 90) * 1_000_000) == 90
    assert EDITION._replace(built_at=None).age_s(0) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("GeoIP2-City", "geoip2-city"),
        ("country ipvAll", "country-ipvall"),
        ("../../etc/passwd\n", "etc-passwd"),
        ("", "unnamed"),
        ("é#@", "unnamed"),
        ("x" * 200, "x" * 48),
    ],
)
def test_a_name_can_be_mistaken_for_nothing_else(text: str, name: str) -> None:
    assert slug(text) == name
