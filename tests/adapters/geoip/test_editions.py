"""Look-ups by configuration, and editions that are swapped under them."""

import os
import random
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.adapters.geoip import GeoIP, Override, editions
from gateway.core.errors import EditionError
from gateway.core.facts import OneOf, Unknown
from gateway.core.terms import WhyUnknown
from gateway.ports import Connection, Geo

Make = Callable[..., Path]
SECOND = 1_000_000
BUILT_AT = 1_780_272_000
AT = (BUILT_AT + 86_400) * SECOND
NOT_CONFIGURED = Unknown(WhyUnknown.NOT_CONFIGURED)
SPECIAL = Unknown(WhyUnknown.SPECIAL_PURPOSE)


def country(code: str) -> dict[str, Any]:
    return {"country": {"iso_code": code}}


def said(**fields: Any) -> Override:
    return SimpleNamespace(**{"country": None, "subdivision": None, "asn": None, "network": None, **fields})


def anywhere_in(code: str, why: WhyUnknown = WhyUnknown.NOT_CONFIGURED) -> OneOf:
    return OneOf(why, frozenset(), frozenset({f"{code}-"}))


@pytest.fixture(scope="module")
def shipped() -> GeoIP:
    return GeoIP()


def test_the_shipped_editions_answer_country_and_as_number(shipped: GeoIP) -> None:
    geo: Geo = shipped
    assert geo.look_up("193.0.6.139", AT) == Connection("NL", anywhere_in("NL"), "EU", 3333, NOT_CONFIGURED)
    cited = [edition.partition("#")[0] for edition in geo.editions]
    assert cited == ["dbip-country-lite@2026-06-01", "open-asn@2026-06-17"]
    assert geo.generation == 0


@pytest.mark.parametrize(
    "key", [None, "", "nonsense", "8.8.8.8.8", "08.8.8.8", "8.8.8.8 ", ":::", "fe80::1%eth0", "a\0b", "\ud800"]
)
def test_what_is_no_address_is_unresolved(shipped: GeoIP, key: str | None) -> None:
    assert shipped.look_up(key, AT) == Connection(*[Unknown(WhyUnknown.ADDRESS_UNRESOLVED)] * 5)


@pytest.mark.parametrize(
    "key",
    ["10.0.0.1", "127.0.0.1", "192.168.1.1", "169.254.0.1", "100.64.0.1", "198.51.100.1", "224.0.0.1",
     "255.255.255.255", "::1", "::", "fd00::1", "fe80::1", "2001:db8::1", "::ffff:8.8.8.8", "::8.8.8.8", "2001::1"],
)  # fmt: skip
def test_a_special_address_is_never_looked_up_as_if_it_were_somewhere(shipped: GeoIP, key: str) -> None:
    assert shipped.look_up(key, AT) == Connection(SPECIAL, SPECIAL, SPECIAL, SPECIAL, NOT_CONFIGURED)


@given(st.integers(0, (1 << 32) - 1) | st.integers(1 << 125, (1 << 126) - 1))
def test_the_quick_way_and_the_whole_way_give_the_same_answer(shipped: GeoIP, number: int) -> None:
    from ipaddress import IPv4Address, IPv6Address

    key = str(IPv4Address(number) if number < 1 << 32 else IPv6Address(number))
    quick = shipped.look_up(key, AT)
    whole_snapshot = shipped._snapshot._replace(plain=None)
    other = GeoIP.__new__(GeoIP)
    other.__dict__.update(shipped.__dict__)
    other._snapshot = whole_snapshot
    assert other.look_up(key, AT) == quick


def test_registration_data_is_a_second_opinion() -> None:
    geo = GeoIP(country=["shipped", "rir"], asn=[])
    assert geo.look_up("193.0.6.139", AT)[0] == "NL"
    disputed = geo.look_up("2.16.0.1", AT)
    assert disputed.asn == NOT_CONFIGURED
    assert any(edition.startswith("rir-iptocc@") for edition in geo.editions)
    assert geo.refresh() == (), "data inside a library changes with the library"


def test_two_databases_that_disagree_leave_it_open(make: Make) -> None:
    one = make({"81.2.0.0/16": country("US"), "81.3.0.0/16": country("DE")}, name="one.mmdb")
    two = make({"81.2.0.0/16": country("CA")}, name="two.mmdb")
    geo = GeoIP(country=[one, two], asn=[])
    assert geo.look_up("81.2.0.1", AT)[:3] == (
        OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset({"US", "CA"})),
        OneOf(WhyUnknown.NOT_CONFIGURED, frozenset(), frozenset({"US-", "CA-"})),
        "NA",
    )
    assert geo.look_up("81.3.0.1", AT).country == "DE"
    assert geo.look_up("81.4.0.1", AT).country == Unknown(WhyUnknown.NO_RECORD)
    assert GeoIP(country=[one, two], asn=[], combine="first").look_up("81.2.0.1", AT).country == "US"


def test_a_city_database_names_the_region_and_is_asked_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    city = make(
        {
            "81.2.0.0/16": {**country("US"), "subdivisions": [{"iso_code": "NY"}]},
            "81.3.0.0/16": country("US"),
            "81.4.0.0/16": {**country("UA"), "subdivisions": [{"iso_code": "43"}]},
        },
        "GeoIP2-City",
    )
    geo = GeoIP(country=[city], subdivision=[city], asn=[])
    source = geo.sources["country"][0]
    assert source is geo.sources["subdivision"][0]
    assert geo.look_up("81.2.0.1", AT).subdivision == "US-NY"
    assert geo.look_up("81.3.0.1", AT).subdivision == anywhere_in("US", WhyUnknown.NO_RECORD)
    russian = GeoIP(country=[make({"81.4.0.0/16": country("RU")}, name="ru.mmdb")], subdivision=[city], asn=[])
    assert russian.look_up("81.4.0.1", AT).subdivision == OneOf(
        WhyUnknown.SOURCES_DISAGREE, frozenset({"UA-43"}), frozenset({"RU-"})
    )
    assert len(geo.editions) == 1


LISBON = {"location": {"latitude": 38.72, "longitude": -9.14, "accuracy_radius": 20}}


def test_a_city_database_places_an_address_and_no_doubtful_one(make: Make) -> None:
    city = make(
        {"81.2.0.0/16": {**country("PT"), **LISBON}, "81.3.0.0/16": country("PT")}, "GeoIP2-City", name="city.mmdb"
    )
    there = (38.72, -9.14, 20.0)
    alone = GeoIP(country=[city])
    assert alone.look_up("81.2.0.1", AT).place == there
    assert alone.look_up("81.3.0.1", AT).place is None
    assert GeoIP(country=[city], subdivision=[city]).look_up("81.2.0.1", AT).place == there
    overridden = GeoIP(country=[city], overrides={"81.2.0.0/24": said(country="DE")})
    assert overridden.look_up("81.2.0.1", AT).place is None
    assert overridden.look_up("81.2.1.1", AT).place == there
    spanish = make({"81.2.0.0/16": country("ES")}, name="es.mmdb")
    assert GeoIP(country=[spanish], subdivision=[city]).look_up("81.2.0.1", AT).place is None
    assert GeoIP(country=[spanish, city]).look_up("81.2.0.1", AT).place is None
    porto = {"location": {"latitude": 41.15, "longitude": -8.6, "accuracy_radius": 20}}
    other = make({"81.2.0.0/16": {**country("PT"), **porto}}, "GeoIP2-City", name="other.mmdb")
    assert GeoIP(country=[city, other]).look_up("81.2.0.1", AT).place is None


def test_networks_are_named_by_databases_and_lists(make: Make, tmp_path: Path) -> None:
    anonymous = make({"81.2.0.0/16": {"is_anonymous": True, "is_tor_exit_node": True}}, "GeoIP2-Anonymous-IP")
    (tmp_path / "dc.txt").write_text("81.2.3.0/24\n2a00:1::/32\n10.0.0.0/8\n")
    geo = GeoIP(anonymizer=[anonymous], networks={"datacenter": tmp_path / "dc.txt"})
    assert geo.look_up("81.2.3.4", AT).network == {"tor", "datacenter"}
    assert geo.look_up("81.2.4.4", AT).network == {"tor"}
    assert geo.look_up("2a00:1::1", AT).network == {"datacenter"}
    assert geo.look_up("8.8.8.8", AT).network == frozenset()
    assert geo.look_up("10.0.0.1", AT).network == SPECIAL
    assert [edition.partition("@")[0] for edition in geo.editions] == [
        "dbip-country-lite", "open-asn", "geoip2-anonymous-ip", "datacenter",
    ]  # fmt: skip
    assert list(geo.sources) == ["country", "subdivision", "asn", "anonymizer", "network datacenter"]


def test_an_override_beats_every_database_for_what_it_names(shipped: GeoIP) -> None:
    geo = GeoIP(
        overrides={
            "127.0.0.0/8": said(country="DE"),
            "10.0.0.0/8": said(country="PT", subdivision="PT-11", asn=64500, network=("office",)),
            "8.8.8.0/24": said(country="CA"),
            "8.8.4.0/24": said(asn=1),
        }
    )
    assert geo.look_up("127.0.0.1", AT) == Connection("DE", anywhere_in("DE"), "EU", SPECIAL, NOT_CONFIGURED)
    assert geo.look_up("10.1.2.3", AT) == Connection("PT", "PT-11", "EU", 64500, frozenset({"office"}))
    assert geo.look_up("8.8.8.8", AT) == Connection("CA", anywhere_in("CA"), "NA", 15169, NOT_CONFIGURED)
    assert geo.look_up("8.8.4.4", AT) == shipped.look_up("8.8.4.4", AT)._replace(asn=1)
    assert geo.look_up("193.0.6.139", AT) == shipped.look_up("193.0.6.139", AT)


def test_an_edition_past_its_age_makes_its_facts_unknown_and_only_where_that_was_asked(make: Make) -> None:
    path = make({"81.2.0.0/16": country("US")})
    aged = {"at": (BUILT_AT + 91 * 86_400) * SECOND}
    assert GeoIP(country=[path], asn=[]).look_up("81.2.0.1", **aged).country == "US"
    geo = GeoIP(country=[path], asn=[], max_age_refuse_s=90 * 86_400)
    assert geo.look_up("81.2.0.1", AT).country == "US"
    assert geo.look_up("81.2.0.1", **aged)[:3] == (Unknown(WhyUnknown.EDITION_TOO_OLD),) * 3


def test_an_old_edition_is_warned_about_with_its_age(shipped: GeoIP, make: Make) -> None:
    geo = GeoIP(country=[make({"81.2.0.0/16": country("US")})], asn=["shipped"], max_age_warn_s=35 * 86_400)
    assert geo.warnings(AT) == ()
    (line,) = geo.warnings((BUILT_AT + 40 * 86_400) * SECOND)
    assert line.startswith("geolite2-country@2026-06-01#")
    assert line.endswith(" is 40 days old, more than 35")
    assert shipped.warnings(AT * 2) == ()


def test_a_source_of_unknown_age_cannot_be_bound_by_one() -> None:
    with pytest.raises(EditionError, match=r"`rir-iptocc` does not say how old its data is.*leave out"):
        GeoIP(country=["rir"], max_age_refuse_s=90)


def test_a_database_of_something_else_is_refused_by_the_name_of_its_setting(make: Make, tmp_path: Path) -> None:
    path = make({"81.2.0.0/16": country("US")})
    with pytest.raises(
        EditionError, match=r"geodb\.subdivision: .*made\.mmdb holds country, and nothing of subdivision"
    ):
        GeoIP(subdivision=[path])
    with pytest.raises(EditionError, match=r"geodb\.asn: rir holds country, and nothing of asn"):
        GeoIP(asn=["rir"])
    with pytest.raises(EditionError, match=r"none\.mmdb: cannot be read"):
        GeoIP(country=[tmp_path / "none.mmdb"])
    (tmp_path / "list").write_text("nonsense")
    with pytest.raises(EditionError, match="list, line 1: `nonsense` is not a network"):
        GeoIP(networks={"tor": tmp_path / "list"})


def test_damage_where_the_address_lies_is_unknown_with_the_reason(make: Make) -> None:
    damaged = make({"81.2.0.0/16": country("US"), "81.3.0.1/32": {"country": {"iso_code": 5}}})
    geo = GeoIP(country=[damaged, "shipped"], asn=[])
    assert geo.look_up("81.2.69.142", AT).country != Unknown(WhyUnknown.LOOKUP_FAILED)
    assert geo.look_up("81.3.0.1", AT).country == Unknown(WhyUnknown.LOOKUP_FAILED)


def test_a_changed_file_is_taken_whole_and_the_generation_tells(make: Make) -> None:
    path = make({"81.2.0.0/16": country("US")})
    geo = GeoIP(country=[path], subdivision=[], asn=["shipped"])
    assert geo.refresh() == ()
    before = geo.editions
    make({"81.2.0.0/16": country("CA")}, built_at=BUILT_AT + 1)
    (outcome,) = geo.refresh()
    assert (outcome.path, outcome.taken) == (path, True)
    assert outcome.message == f"{geo.editions[0]} follows {before[0]}"
    assert geo.look_up("81.2.0.1", AT).country == "CA"
    assert geo.generation == 1
    assert geo.editions[1] == before[1]
    assert geo.refresh() == ()


@pytest.mark.parametrize("harm", ["garbage", "truncated in place", "gone", "older", "another type"])
def test_a_file_that_does_not_stand_up_is_left_alone_and_said_once(make: Make, harm: str) -> None:
    path = make({"81.2.0.0/16": country("US")})
    geo = GeoIP(country=[path], asn=[])
    if harm == "garbage":
        path.write_bytes(b"garbage" * 100)
    elif harm == "truncated in place":
        os.truncate(path, 10)
    elif harm == "gone":
        path.unlink()
    elif harm == "older":
        make({"81.2.0.0/16": country("CA")}, built_at=BUILT_AT - 1)
    else:
        make({"81.2.0.0/16": {"autonomous_system_number": 5}}, "GeoLite2-ASN")
    (outcome,) = geo.refresh()
    assert not outcome.taken
    assert outcome.message.endswith(f"{geo.editions[0]} stays in use")
    assert geo.look_up("81.2.0.1", AT).country == "US"
    assert geo.generation == 0
    assert geo.refresh() == (), "it is not tried again until it changes"
    make({"81.2.0.0/16": country("CA")}, built_at=BUILT_AT + 1)
    assert [outcome.taken for outcome in geo.refresh()] == [True]
    assert geo.look_up("81.2.0.1", AT).country == "CA"


def test_a_changed_list_is_taken_and_a_bad_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "tor.txt"
    path.write_text("81.2.3.4\n")
    geo = GeoIP(networks={"tor": path})
    path.write_text("81.2.3.5\n81.2.3.6\n")
    assert [outcome.taken for outcome in geo.refresh()] == [True]
    assert geo.look_up("81.2.3.6", AT).network == {"tor"}
    assert geo.look_up("81.2.3.4", AT).network == frozenset()
    path.write_text("nonsense here\n")
    (outcome,) = geo.refresh()
    assert not outcome.taken
    assert "line 1: `nonsense here` is not a network" in outcome.message
    assert geo.look_up("81.2.3.6", AT).network == {"tor"}
    assert geo.generation == 1


def test_no_look_up_sees_half_of_a_swap(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both facts come from one file: under any interleaving they are of one edition."""
    monkeypatch.setattr(editions, "_SAMPLE", 1 << 9)
    pairs = [("US", "NY"), ("CA", "ON")]

    def put(number: int) -> Path:
        code, region = pairs[number % 2]
        record = {**country(code), "subdivisions": [{"iso_code": region}]}
        return make({"81.2.0.0/16": record}, "GeoIP2-City", built_at=BUILT_AT + number)

    path = put(0)
    geo = GeoIP(country=[path], subdivision=[path], asn=[])
    seen: set[tuple[Any, Any]] = set()
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            answer = geo.look_up("81.2.0.1", AT)
            seen.add((answer.country, answer.subdivision))

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    try:
        for number in range(1, 7):
            put(number)
            assert [outcome.taken for outcome in geo.refresh()] == [True]
    finally:
        done.set()
        for asker in askers:
            asker.join()
    assert seen <= {(code, f"{code}-{region}") for code, region in pairs}
    assert geo.generation == 6


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False))
def test_broken_bytes_never_raise_out_of_a_look_up(make: Make, chance: random.Random) -> None:
    whole = make({f"{first}.0.0.0/9": country("US") for first in range(16, 60)})
    geo = GeoIP(country=[whole], asn=[])
    broken = bytearray(whole.read_bytes())
    for _ in range(chance.randrange(1, 4)):
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
    whole.write_bytes(broken)
    try:
        fresh = GeoIP(country=[whole], asn=[])
    except EditionError:
        fresh = geo
    geo.refresh()
    for first in range(14, 62):
        for one in (geo, fresh):
            assert isinstance(one.look_up(f"{first}.0.0.1", AT), Connection)
