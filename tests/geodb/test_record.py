"""What one record says, in every schema, and in no schema at all."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodb.record import (
    Field,
    GeoRecord,
    Missing,
    Why,
    fields_of_record,
    fields_of_type,
    interpret,
    only_asn,
    only_country,
)

NATIVE_CITY = {
    "country": {"iso_code": "US", "names": {"en": "United States"}},
    "registered_country": {"iso_code": "DE"},
    "represented_country": {"iso_code": "GB", "type": "military"},
    "subdivisions": [{"iso_code": "NY", "names": {"en": "New York"}}],
}

SAID = [
    ("native country", {"country": {"iso_code": "DE"}}, GeoRecord("DE")),
    ("native city", NATIVE_CITY, GeoRecord("US", "US-NY")),
    ("the outermost of several regions", {"country": {"iso_code": "GB"}, "subdivisions": [{"iso_code": "ENG"},
     {"iso_code": "OXF"}]}, GeoRecord("GB", "GB-ENG")),
    ("a region by name alone", {"country": {"iso_code": "DE"}, "subdivisions": [{"names": {"en": "Bavaria"}}]},
     GeoRecord("DE", "DE-BY")),
    ("a region that ISO does not know", {"country": {"iso_code": "DE"}, "subdivisions": [{"iso_code": "ZZ"}]},
     GeoRecord("DE", region="ZZ")),
    ("no region", {"country": {"iso_code": "DE"}, "subdivisions": []}, GeoRecord("DE")),
    ("a region without a country", {"subdivisions": [{"iso_code": "NY"}]}, GeoRecord()),
    ("registered only is not located", {"registered_country": {"iso_code": "AU"}}, GeoRecord()),
    ("a country without a code", {"country": {"geoname_id": 1}}, GeoRecord()),
    ("native asn", {"autonomous_system_number": 15169, "autonomous_system_organization": "Google"},
     GeoRecord(asn=15169, organization="Google")),
    ("enterprise", {"country": {"iso_code": "US"}, "traits": {"autonomous_system_number": 7018,
     "is_anonymous_vpn": True, "connection_type": "Cellular"}},
     GeoRecord("US", asn=7018, flags=frozenset({"vpn", "mobile"}))),
    ("flat country", {"country_code": "PT"}, GeoRecord("PT")),
    ("flat country under `country`", {"country": "PT"}, GeoRecord("PT")),
    ("flat city", {"country_code": "UA", "state1": "Zaporizhzhya Oblast"}, GeoRecord("UA", "UA-23")),
    ("flat city, region by code", {"country_code": "CA", "region_code": "ON", "region": "?"}, GeoRecord("CA", "CA-ON")),
    ("flat city, unheard-of region", {"country_code": "DE", "state1": "Atlantis"}, GeoRecord("DE", region="Atlantis")),
    ("Crimea as it is labelled, with the one code it has", {"country_code": "RU", "state1": "Crimea"},
     GeoRecord("RU", "UA-43")),
    ("a name that means two regions", {"country_code": "UA", "state1": "Kyiv"}, GeoRecord("UA", region="Kyiv")),
    ("flat asn as number", {"asn": 64500}, GeoRecord(asn=64500)),
    ("flat asn as text", {"asn": "AS64500"}, GeoRecord(asn=64500)),
    ("AS 0 is none", {"asn": 0}, GeoRecord()),
    ("nothing written for a country", {"country_code": "-"}, GeoRecord()),
    ("a placeholder", {"country_code": "EU"}, GeoRecord(placeholder="`EU` is somewhere in Europe")),
    ("a native placeholder", {"country": {"iso_code": "AP"}},
     GeoRecord(placeholder="`AP` is somewhere in Asia or the Pacific")),
    ("all kinds of anonymizer", {"is_anonymous": True, "is_anonymous_vpn": True, "is_hosting_provider": True,
     "is_public_proxy": True, "is_residential_proxy": True, "is_tor_exit_node": True, "is_satellite_provider": True},
     GeoRecord(flags=frozenset({"vpn", "hosting", "public_proxy", "residential_proxy", "tor", "satellite"}))),
    ("anonymous, nobody says how", {"is_anonymous": True}, GeoRecord(flags=frozenset({"anonymous"}))),
    ("not anonymous", {"is_anonymous": False, "is_tor_exit_node": False}, GeoRecord()),
    ("flat privacy flags", {"vpn": "true", "proxy": 1, "tor": "false", "relay": "", "hosting": 0, "mobile": True},
     GeoRecord(flags=frozenset({"vpn", "public_proxy", "mobile"}))),
    ("a satellite connection", {"connection_type": "Satellite"}, GeoRecord(flags=frozenset({"satellite"}))),
    ("a cable connection", {"connection_type": "Cable/DSL"}, GeoRecord()),
    ("nothing that we know", {"ip": "test"}, GeoRecord()),
]  # fmt: skip


@pytest.mark.parametrize(("record", "said"), [row[1:] for row in SAID], ids=[row[0] for row in SAID])
def test_every_schema_says_the_same_things(record: dict[str, Any], said: GeoRecord) -> None:
    assert interpret(record) == said


DAMAGED = [
    ("text", "the record is a str, not a map"),
    ([{}], "the record is a list, not a map"),
    ({"country": {"iso_code": 5}}, "damaged record: `iso_code` is a int, not text"),
    ({"country_code": b"DE"}, "damaged record: `country_code` is a bytes, not text"),
    ({"country": ["DE"]}, "damaged record: `country` is a list, not text"),
    ({"country_code": "US", "subdivisions": {"iso_code": "NY"}},
     "damaged record: `subdivisions` is a dict, not a list"),
    ({"country": {"iso_code": "US"}, "subdivisions": ["NY"]}, "damaged record: `subdivisions` holds a str, not a map"),
    ({"traits": 5}, "damaged record: `traits` is a int, not a map"),
    ({"asn": True}, "damaged record: `asn` is True, not an AS number"),
    ({"asn": -1}, "damaged record: `asn` is -1, not an AS number"),
    ({"asn": "fifteen"}, "damaged record: `asn` is 'fifteen', not an AS number"),
    ({"autonomous_system_number": 1 << 32},
     "damaged record: `autonomous_system_number` is 4294967296, not an AS number"),
    ({"is_tor_exit_node": 2}, "damaged record: `is_tor_exit_node` is 2, neither true nor false"),
    ({"vpn": "perhaps"}, "damaged record: `vpn` is 'perhaps', neither true nor false"),
]  # fmt: skip


@pytest.mark.parametrize(("record", "why"), DAMAGED)
def test_what_no_schema_has_is_a_failed_look_up_and_says_where(record: object, why: str) -> None:
    assert interpret(record) == Missing(Why.LOOKUP_FAILED, why)


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5)
_NAMES = st.sampled_from(
    ["country", "country_code", "iso_code", "subdivisions", "traits", "asn", "names", "en", "state1", "vpn", "region",
     "is_anonymous", "connection_type", "autonomous_system_number", "autonomous_system_organization", "x"]
)  # fmt: skip
_RECORDS = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4), max_leaves=12
)


@given(_RECORDS)
def test_no_record_can_make_reading_raise(record: object) -> None:
    assert isinstance(interpret(record), GeoRecord | Missing)


@given(st.dictionaries(_NAMES, _RECORDS, max_size=2))
def test_the_quick_ways_never_differ_from_the_whole_reading(record: dict[str, Any]) -> None:
    country, asn = only_country(record), only_asn(record)
    if country is not None:
        assert interpret(record) == GeoRecord(country)
    if asn is not None:
        assert interpret(record) == GeoRecord(asn=asn, organization=record.get("autonomous_system_organization"))


def test_the_quick_ways_are_taken_by_the_compact_schema() -> None:
    assert only_country({"country": {"iso_code": "DE"}}) == only_country({"country_code": "DE"}) == "DE"
    assert only_asn({"autonomous_system_number": 1, "autonomous_system_organization": "One"}) == 1
    assert only_asn({"autonomous_system_number": 1}) == 1


@pytest.mark.parametrize(
    ("database_type", "fields"),
    [
        ("GeoLite2-Country", {Field.COUNTRY}),
        ("DBIP-Country-Lite", {Field.COUNTRY}),
        ("GeoIP2-City-North-America", {Field.COUNTRY, Field.SUBDIVISION}),
        ("GeoIP2-Enterprise", set(Field)),
        ("GeoLite2-ASN", {Field.ASN}),
        ("GeoIP2-ISP", {Field.ASN}),
        ("GeoIP2-Anonymous-IP", {Field.ANONYMIZER}),
        ("GeoIP-Anonymous-Plus", {Field.ANONYMIZER}),
        ("GeoIP2-Connection-Type", {Field.ANONYMIZER}),
        ("country ipvAll", set()),
        ("GeoIP2-Domain", set()),
    ],
)
def test_a_native_type_says_what_it_holds(database_type: str, fields: set[Field]) -> None:
    assert fields_of_type(database_type) == fields


@pytest.mark.parametrize(
    ("record", "fields"),
    [
        ({"country_code": "DE", "state1": "Bayern"}, {Field.COUNTRY, Field.SUBDIVISION}),
        ({"country": {}}, {Field.COUNTRY}),
        ({"asn": 1, "vpn": True}, {Field.ASN, Field.ANONYMIZER}),
        ({"domain": "example.org"}, set()),
        ("text", set()),
    ],
)
def test_a_record_says_by_its_names_what_its_database_holds(record: object, fields: set[Field]) -> None:
    assert fields_of_record(record) == fields


@pytest.mark.parametrize(
    ("record", "place"),
    [
        ({"location": {"latitude": 38.7, "longitude": -9, "accuracy_radius": 20}}, (38.7, -9.0, 20.0)),
        ({"latitude": "38.7", "longitude": "-9.1"}, (38.7, -9.1, None)),
        ({"latitude": 38.7, "longitude": -9.1, "accuracy_radius": -1}, (38.7, -9.1, None)),
        ({"latitude": 0, "longitude": 0}, None),
        ({"latitude": 91, "longitude": 0}, None),
        ({"latitude": 38.7}, None),
        ({"latitude": True, "longitude": 1}, None),
        ({"latitude": float("nan"), "longitude": 1.0}, None),
        ({"latitude": "thirty", "longitude": "1"}, None),
        ({"location": "Lisbon", "latitude": 1.5, "longitude": 2.5}, (1.5, 2.5, None)),
    ],
)
def test_a_place_is_read_where_there_is_one_on_earth(record: dict[str, Any], place: tuple[float, ...] | None) -> None:
    said = interpret({"country_code": "PT", **record})

    assert isinstance(said, GeoRecord)
    assert (said.country, said.place) == ("PT", place)
