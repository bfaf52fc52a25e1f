"""Repacking: from any schema to the compact one."""

from collections.abc import Callable
from pathlib import Path

import geoip2.database
import geoip2.errors
import pytest

from geodb.build import Kind, build
from geodb.edition import BadEdition
from geodb.reader import Reader
from geodb.record import GeoRecord

Make = Callable[..., Path]
DAY = 1_780_272_000


def test_a_country_edition_is_read_by_the_geoip2_package_as_well(make: Make, tmp_path: Path) -> None:
    flat = make({"16.0.0.0/8": {"country_code": "DE"}, "2a00::/16": {"country_code": "US"}}, "country ipvAll")
    built = build(Kind.COUNTRY, [flat], tmp_path / "country.mmdb", name="example", built_at=DAY)
    assert (built.read, built.left_out, built.contested, built.spans) == (2, 0, 0, 2)
    assert str(built.edition).startswith("example@2026-06-01#")
    assert built.edition.database_type == "example (Country)"
    with geoip2.database.Reader(tmp_path / "country.mmdb") as other:
        assert other.country("16.1.2.3").country.iso_code == "DE"
        assert other.country("2a00::1").country.iso_code == "US"
        with pytest.raises(geoip2.errors.AddressNotFoundError):
            other.country("17.0.0.1")


def test_an_asn_edition_is_read_by_the_geoip2_package_as_well(tmp_path: Path) -> None:
    (tmp_path / "v4.csv").write_text('16.0.0.0,16.0.0.255,64500,"Example, Ltd"\n16.0.1.0,16.0.1.255,AS64501,\n')
    (tmp_path / "v6.csv").write_text("2a00::,2a00:ffff:ffff:ffff:ffff:ffff:ffff:ffff,64502\n2a01::,2a01::1,0,None\n")
    built = build(Kind.ASN, [tmp_path / "v4.csv", tmp_path / "v6.csv"], tmp_path / "asn.mmdb", name="x", built_at=DAY)
    assert (built.read, built.left_out, built.spans) == (4, 1, 3)
    with geoip2.database.Reader(tmp_path / "asn.mmdb") as other:
        assert other.asn("16.0.0.9").autonomous_system_number == 64500
        assert other.asn("16.0.0.9").autonomous_system_organization == "Example, Ltd"
        assert other.asn("16.0.1.9").autonomous_system_organization is None
        assert other.asn("2a00::1").autonomous_system_number == 64502


def test_a_city_edition_keeps_country_and_region(make: Make, tmp_path: Path) -> None:
    source = make(
        {
            "16.0.0.0/8": {"country_code": "US", "state1": "New York", "city": "Albany"},
            "17.0.0.0/8": {"country_code": "DE", "state1": "Atlantis"},
        },
        "city ipvAll",
    )
    build(Kind.CITY, [source], tmp_path / "city.mmdb", name="x", built_at=DAY)
    reader = Reader.open(tmp_path / "city.mmdb")
    assert reader.read("16.0.0.1") == GeoRecord("US", "US-NY")
    assert reader.read("17.0.0.1") == GeoRecord("DE")
    with geoip2.database.Reader(tmp_path / "city.mmdb") as other:
        assert other.city("16.0.0.1").subdivisions.most_specific.iso_code == "NY"


def test_placeholders_are_not_written_as_countries(make: Make, tmp_path: Path) -> None:
    codes = ["EU", "AP", "??", "ZZ", "AN", "T1", "A1", "A2", "O1", "UK", "-"]
    records = {f"{first}.0.0.0/8": {"country_code": code} for first, code in enumerate(codes, 16)}
    source = make({**records, "40.0.0.0/8": {"country_code": "XK"}}, "country ipvAll")
    built = build(Kind.COUNTRY, [source], tmp_path / "out.mmdb", name="x", built_at=DAY)
    assert (built.left_out, built.spans) == (len(codes), 1)
    assert Reader.open(tmp_path / "out.mmdb").read("40.0.0.1") == GeoRecord("XK")


def test_the_same_input_gives_the_same_bytes(make: Make, tmp_path: Path) -> None:
    records = {f"{first}.0.0.0/8": {"country_code": code} for first, code in enumerate(["DE", "US", "PT", "DE"], 16)}
    source = make(records, "country ipvAll")
    (tmp_path / "back.csv").write_text("".join(f"{n}.0.0.0,{n}.255.255.255,{c}\n" for n, c in
                                               reversed(list(enumerate(["DE", "US", "PT", "DE"], 16)))))  # fmt: skip
    first = build(Kind.COUNTRY, [source], tmp_path / "1.mmdb", name="x", built_at=DAY)
    again = build(Kind.COUNTRY, [source], tmp_path / "2.mmdb", name="x", built_at=DAY)
    other_order = build(Kind.COUNTRY, [tmp_path / "back.csv"], tmp_path / "3.mmdb", name="x", built_at=DAY)
    assert first.edition.sha256 == again.edition.sha256 == other_order.edition.sha256


def test_the_narrower_of_two_announcements_holds(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("16.0.0.0,16.255.255.255,64500,Wide\n16.1.0.0,16.1.255.255,64501,Narrow\n")
    built = build(Kind.ASN, [tmp_path / "a.csv"], tmp_path / "out.mmdb", name="x", built_at=DAY)
    assert built.contested == 1
    assert Reader.open(tmp_path / "out.mmdb").read("16.1.0.1") == GeoRecord(asn=64501, organization="Narrow")


@pytest.mark.parametrize(
    ("kind", "text", "why"),
    [
        (Kind.ASN, "16.0.0.0,16.0.0.255\n", "line 1: expected `first,last,value`"),
        (Kind.ASN, "16.0.0.0,2a00::,1,x\n", "line 1: 16.0.0.0 to 2a00:: is not a range"),
        (Kind.ASN, "16.0.0.9,16.0.0.1,1,x\n", "line 1: 16.0.0.9 to 16.0.0.1 is not a range"),
        (Kind.ASN, "16.0.0.0,16.0.0.1,1,x\n16.0.0.2,16.0.0.3,-5,x\n", "line 2: -5 is not an AS number"),
        (Kind.ASN, "here,there,1,x\n", "line 1: 'here' does not appear to be an IPv4 or IPv6 address"),
        (Kind.ASN, "16.0.0.0,16.0.0.1,1,a\n16.0.0.0,16.0.0.1,2,b\n", "claim the same addresses"),
        (Kind.ASN, f"16.0.0.0,16.0.0.1,1,{'x' * 5000}\n", "line 1: longer than 4096 characters"),
        (Kind.ASN, '16.0.0.0,16.0.0.1,1,"x\n', "not a CSV that can be read"),
        (Kind.ASN, "", "nothing in it says anything of asn"),
        (Kind.COUNTRY, "16.0.0.0,16.0.0.1,EU\n", "nothing in it says anything of country"),
        (Kind.CITY, "16.0.0.0,16.0.0.1,US\n", "line 1: a CSV holds no subdivisions"),
    ],
)
def test_a_source_that_cannot_be_read_leaves_nothing_behind(tmp_path: Path, kind: Kind, text: str, why: str) -> None:
    (tmp_path / "in.csv").write_text(text)
    with pytest.raises(BadEdition, match=why) as refused:
        build(kind, [tmp_path / "in.csv"], tmp_path / "out.mmdb", name="x", built_at=DAY)
    assert "in.csv" in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_a_source_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadEdition, match=r"in\.csv: not a CSV that can be read: .*No such file"):
        build(Kind.ASN, [tmp_path / "in.csv"], tmp_path / "out.mmdb", name="x", built_at=DAY)


def test_damage_in_a_source_stops_the_build_and_says_where(make: Make, tmp_path: Path) -> None:
    source = make({"16.0.0.0/8": {"country_code": "DE"}, "17.0.0.1/32": {"country_code": 5}}, "country ipvAll")
    with pytest.raises(BadEdition, match=r"at 17\.0\.0\.1: damaged record: `country_code` is a int"):
        build(Kind.COUNTRY, [source], tmp_path / "out.mmdb", name="x", built_at=DAY)
    source = make({"16.0.0.0/8": {"country_code": "DE"}, "2a00::1/128": {"country_code": 5}}, "country ipvAll")
    with pytest.raises(BadEdition, match="at 2a00::1: damaged record"):
        build(Kind.COUNTRY, [source], tmp_path / "out.mmdb", name="x", built_at=DAY)
    assert not (tmp_path / "out.mmdb").exists()


def test_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geodb.build._EVERY", 2)
    (tmp_path / "a.csv").write_text("".join(f"16.0.{n}.0,16.0.{n}.255,{64500 + n},x\n" for n in range(5)))
    told: list[tuple[str, int]] = []
    build(
        Kind.ASN,
        [tmp_path / "a.csv"],
        tmp_path / "out.mmdb",
        name="x",
        built_at=DAY,
        progress=lambda *step: told.append(step),
    )
    assert told == [("reading a.csv", 2), ("reading a.csv", 4), ("writing out.mmdb", 5)]


def test_an_asn_database_of_another_maker_is_repacked_too(make: Make, tmp_path: Path) -> None:
    native = {"autonomous_system_number": 64500, "autonomous_system_organization": "Example"}
    source = make({"16.0.0.0/8": native, "17.0.0.0/8": {"autonomous_system_organization": "No number"}}, "GeoIP2-ISP")
    built = build(Kind.ASN, [source], tmp_path / "asn.mmdb", name="x", built_at=DAY)
    assert (built.read, built.left_out) == (2, 1)
    assert Reader.open(tmp_path / "asn.mmdb").read("16.0.0.1") == GeoRecord(asn=64500, organization="Example")
