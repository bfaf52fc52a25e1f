"""Reading a database: what it says, what it cannot harm, and what is refused at the door."""

import os
import random
from collections.abc import Callable
from importlib import metadata
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import iptocc
import pytest

from geodb import reader as module
from geodb.edition import BadEdition
from geodb.reader import Reader, Registry, stamp_of
from geodb.record import NOWHERE, Field, GeoRecord, Missing, Why

Make = Callable[..., Path]
DE, US = {"country": {"iso_code": "DE"}}, {"country": {"iso_code": "US"}}


def test_a_reader_answers_for_both_versions(make: Make) -> None:
    reader = Reader.open(make({"16.0.0.0/8": DE, "2a00::/16": US, "16.1.0.0/16": US}))
    assert reader.read("16.0.0.1") == GeoRecord("DE")
    assert reader.read("16.1.2.3") == GeoRecord("US")
    assert reader.read("2a00::1") == GeoRecord("US")
    assert reader.read("17.0.0.1") == NOWHERE
    assert reader.raw("16.0.0.1") == DE
    assert reader.raw("17.0.0.1") is None


def test_an_edition_says_what_was_opened(make: Make) -> None:
    path = make({"16.0.0.0/8": DE}, "GeoIP2-Country (Test)")
    edition = Reader.open(path).edition
    assert (edition.name, edition.database_type, edition.date) == (
        "geoip2-country",
        "GeoIP2-Country (Test)",
        "2026-06-01",
    )
    assert (edition.path, edition.size) == (path, path.stat().st_size)


def test_as_numbers_come_with_their_organizations(make: Make) -> None:
    both = {"autonomous_system_number": 64500, "autonomous_system_organization": "Example"}
    reader = Reader.open(make({"16.0.0.0/8": both, "17.0.0.0/8": {"autonomous_system_number": 64501}}, "GeoLite2-ASN"))
    assert reader.read("16.0.0.1") == GeoRecord(asn=64500, organization="Example")
    assert reader.read("17.0.0.1") == GeoRecord(asn=64501)


def test_a_flat_database_is_known_by_what_is_in_it(make: Make) -> None:
    late = {f"{first}.0.0.0/8": {"country_code": "DE"} for first in range(16, 40)}
    late["41.0.0.0/8"] = {"country_code": "US", "state1": "New York"}
    reader = Reader.open(make(late, "city ipvAll"))
    assert reader.fields == {Field.COUNTRY, Field.SUBDIVISION}
    assert reader.read("41.0.0.1") == GeoRecord("US", "US-NY")


def test_an_ipv4_database_knows_no_ipv6(make: Make) -> None:
    reader = Reader.open(make({"16.0.0.0/8": DE}, ip_version=4))
    assert reader.read("16.0.0.1") == GeoRecord("DE")
    answer = reader.read("2a00::1")
    assert isinstance(answer, Missing)
    assert answer.why is Why.LOOKUP_FAILED
    assert "IPv6" in answer.detail


def test_what_is_not_an_address_is_a_failed_look_up(make: Make) -> None:
    reader = Reader.open(make({"16.0.0.0/8": DE}))
    answer = reader.read("nonsense")
    assert isinstance(answer, Missing)
    assert answer.why is Why.LOOKUP_FAILED
    assert "nonsense" in str(reader.raw("nonsense"))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not a readable MaxMind-format database"),
        (b"\xab\xcd\xefMaxMind.com", "not a readable MaxMind-format database"),
        (b"<html>404</html>" * 1000, "not a readable MaxMind-format database"),
    ],
)
def test_what_is_no_database_is_refused_with_its_name(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "country.mmdb"
    path.write_bytes(content)
    with pytest.raises(BadEdition, match=why) as refused:
        Reader.open(path)
    assert str(path) in str(refused.value)
    assert "/dev/fd" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadEdition, match=r"none\.mmdb: cannot be read: No such file"):
        Reader.open(tmp_path / "none.mmdb")


def test_a_database_of_something_else_is_refused_with_what_was_meant(make: Make) -> None:
    path = make({"16.0.0.0/8": {"domain": "example.org"}}, "GeoIP2-Domain")
    with pytest.raises(
        BadEdition, match=r"a `GeoIP2-Domain` database, which says nothing of country.*expected one such"
    ):
        Reader.open(path)


@pytest.mark.parametrize(
    ("built_at", "why"),
    [(0, "not a readable"), (1 << 40, r"its build date \(1099511627776 seconds since 1970\) cannot be")],
)
def test_a_build_date_that_cannot_be_is_refused(make: Make, built_at: int, why: str) -> None:
    with pytest.raises(BadEdition, match=why):
        Reader.open(make({"16.0.0.0/8": DE}, built_at=built_at))


def test_a_database_whose_answers_cannot_be_read_is_refused(make: Make) -> None:
    with pytest.raises(BadEdition, match=r"damaged: 16\.\d+\.\d+\.\d+: damaged record: `iso_code` is a int, not text"):
        Reader.open(make({"16.0.0.0/8": {"country": {"iso_code": 5}}}))


def test_damage_in_one_corner_is_a_failed_look_up_there_and_nowhere_else(make: Make) -> None:
    reader = Reader.open(make({"16.0.0.0/8": DE, "17.0.0.1/32": {"country": {"iso_code": 5}}}))
    assert reader.read("16.0.0.1") == GeoRecord("DE")
    assert reader.read("17.0.0.1") == Missing(Why.LOOKUP_FAILED, "damaged record: `iso_code` is a int, not text")


def test_a_file_beyond_all_bounds_is_refused(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make({"16.0.0.0/8": DE})
    monkeypatch.setattr(module, "LARGEST_FILE", 100)
    with pytest.raises(BadEdition, match="larger than 100 bytes"):
        Reader.open(path)


@pytest.mark.parametrize("harm", ["truncate", "overwrite", "unlink", "replace"])
def test_whatever_happens_to_the_file_the_reader_goes_on_answering(make: Make, harm: str) -> None:
    path = make({"16.0.0.0/8": DE})
    reader = Reader.open(path)
    if harm == "truncate":
        os.truncate(path, 0)
    elif harm == "overwrite":
        path.write_bytes(b"\xff" * path.stat().st_size)
    elif harm == "unlink":
        path.unlink()
    else:
        make({"16.0.0.0/8": US}, name="other.mmdb").replace(path)
    assert reader.read("16.0.0.1") == GeoRecord("DE")
    assert reader.damage() is None
    assert stamp_of(path) != reader.stamp


def test_no_descriptor_is_left_open(make: Make, tmp_path: Path) -> None:
    path, broken = make({"16.0.0.0/8": DE}), tmp_path / "broken"
    broken.write_bytes(b"no database")
    before = len(list(Path("/dev/fd").iterdir()))
    reader = Reader.open(path)
    for refused in (broken, tmp_path / "none"):
        with pytest.raises(BadEdition):
            Reader.open(refused)
    assert reader.read("16.0.0.1") == GeoRecord("DE")
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_system_without_anonymous_memory_has_the_copy_in_a_nameless_file(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = make({"16.0.0.0/8": DE})
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    assert Reader.open(path).read("16.0.0.1") == GeoRecord("DE")
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_walk_meets_every_network_once_and_in_order(make: Make) -> None:
    records = {"16.0.0.0/8": DE, "18.0.0.0/15": US, "18.2.0.1/32": DE, "2a00::/16": US, "2c00:1::/32": DE}
    found = list(Reader.open(make(records)).walk())
    expected = [(int(net.network_address), net.num_addresses) for net in map(ip_network, records)]
    assert [(one.start, one.size) for one in found] == expected
    assert [one.record for one in found] == list(records.values())


def test_a_walk_passes_over_the_places_where_ipv6_shows_ipv4_again(make: Make) -> None:
    records: dict[str, Any] = {"2001::/32": DE, "2002::/16": DE, "2001:4000::/32": US}
    assert [found.record for found in Reader.open(make(records)).walk()] == [US]


def test_a_walk_ends_after_as_many_steps_as_it_is_given(make: Make) -> None:
    reader = Reader.open(make({f"{first}.0.0.0/8": DE for first in range(16, 200, 2)}))
    assert len(list(reader.walk(limit=20))) < 20


def test_broken_bytes_never_raise_out_of_a_look_up_nor_hang(make: Make, tmp_path: Path) -> None:
    records = {f"{first}.0.0.0/12": {"country": {"iso_code": code}, "subdivisions": [{"iso_code": "NY"}]}
               for first, code in zip(range(16, 90), ["DE", "US", "PT"] * 30, strict=False)}  # fmt: skip
    whole = make(records, "GeoIP2-City").read_bytes()
    chance = random.Random(4)
    path = tmp_path / "broken.mmdb"
    refused = opened = 0
    for _ in range(150):
        broken = bytearray(whole)
        if chance.random() < 0.3:
            del broken[chance.randrange(len(broken)) :]
        for _ in range(chance.randrange(1, 6)):
            if broken:
                broken[chance.randrange(len(broken))] = chance.randrange(256)
        path.write_bytes(broken)
        try:
            reader = Reader.open(path)
        except BadEdition:
            refused += 1
            continue
        opened += 1
        for first in range(14, 92):
            assert isinstance(reader.read(f"{first}.0.0.1"), GeoRecord | Missing)
        assert isinstance(reader.read("2a00::1"), GeoRecord | Missing)
    assert refused > 40
    assert opened > 2


def test_registration_is_read_in_the_process() -> None:
    registry = Registry()
    assert registry.read("193.0.6.139") == GeoRecord("NL")
    assert registry.read("10.0.0.1") == NOWHERE
    assert registry.edition.name == "rir-iptocc"
    assert registry.edition.date == metadata.version("iptocc")
    assert registry.fields == {Field.COUNTRY}


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ("ZZ", GeoRecord(placeholder="`ZZ` is unknown")),
        (5, Missing(Why.LOOKUP_FAILED, "damaged record: `country_code` is a int, not text")),
    ],
)
def test_registration_data_is_not_believed_either(
    monkeypatch: pytest.MonkeyPatch, outcome: object, expected: object
) -> None:
    registry = Registry()
    monkeypatch.setattr(iptocc, "country_code", lambda _address: outcome)
    assert registry.read("192.0.2.1") == expected


def test_registration_data_that_fails_is_a_failed_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_address: str) -> None:
        raise RuntimeError("gone")

    registry = Registry()
    monkeypatch.setattr(iptocc, "country_code", fail)
    assert registry.read("192.0.2.1") == Missing(Why.LOOKUP_FAILED, "gone")


def test_a_file_that_is_gone_has_no_stamp(tmp_path: Path) -> None:
    assert stamp_of(tmp_path / "none") is None


def test_a_walk_of_an_ipv4_database_ends_with_ipv4(make: Make) -> None:
    reader = Reader.open(make({"16.0.0.0/8": DE}, ip_version=4))
    assert [found.record for found in reader.walk()] == [DE]


def test_a_record_that_is_no_map_is_a_failed_look_up(make: Make) -> None:
    reader = Reader.open(make({"16.0.0.0/8": DE, "17.0.0.1/32": "DE"}))
    assert reader.read("17.0.0.1") == Missing(Why.LOOKUP_FAILED, "the record is a str, not a map")
