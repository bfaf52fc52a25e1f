"""MaxMind's own test databases, read as their sources say; and their broken ones, which do no harm.

The data is not part of the project: it lies in `shared/data` beside the checkout.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network
from pathlib import Path
from typing import Any

import geoip2.database
import pytest

from gateway.adapters.geoip import GeoIP
from gateway.core.facts import OneOf, Unknown
from gateway.core.terms import WhyUnknown
from geodb.edition import BadEdition
from geodb.reader import Reader
from geodb.record import GeoRecord, Missing, Why

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "maxmind-test"
AT = 1_780_272_000 * 1_000_000

# Every file of bad-data, and why it is refused when it is opened: nearly all before the library in C sees them.
BAD = {
    "libmaxminddb__libmaxminddb-corrupt-search-tree": "says nothing of country",
    "libmaxminddb__libmaxminddb-deep-array-nesting": "is nested deeper than 24",
    "libmaxminddb__libmaxminddb-deep-nesting": "is nested deeper than 24",
    "libmaxminddb__libmaxminddb-empty-array-last-in-metadata": "says nothing of country",
    "libmaxminddb__libmaxminddb-empty-map-last-in-metadata": "says nothing of country",
    "libmaxminddb__libmaxminddb-metadata-marker-only": "of its metadata, a value goes on after the end",
    "libmaxminddb__libmaxminddb-offset-integer-overflow": "of its metadata, a value points to 943208504, outside",
    "libmaxminddb__libmaxminddb-oversized-array": "of its data, a value goes on after the end",
    "libmaxminddb__libmaxminddb-oversized-map": "of its data, a value goes on after the end",
    "libmaxminddb__libmaxminddb-separator-record-max-left": "its search tree points to -1, outside",
    "libmaxminddb__libmaxminddb-separator-record-min-left": "its search tree points to -15, outside",
    "libmaxminddb__libmaxminddb-separator-record-min-right": "its search tree points to -15, outside",
    "libmaxminddb__libmaxminddb-uint64-max-epoch": "its build date .* cannot be",
    "maxminddb-golang__cyclic-data-structure": "of its metadata, a value goes on after the end",
    "maxminddb-golang__invalid-bytes-length": "of its metadata, a value goes on after the end",
    "maxminddb-golang__invalid-data-record-offset": "of its metadata, a value is text that is not UTF-8",
    "maxminddb-golang__invalid-map-key-length": "of its metadata, a value goes on after the end",
    "maxminddb-golang__invalid-string-length": "of its metadata, a value goes on after the end",
    "maxminddb-golang__metadata-is-an-uint128": "of its metadata, a value goes on after the end",
    "maxminddb-golang__unexpected-bytes": "of its metadata, a value goes on after the end",
    "maxminddb-python__bad-unicode-in-map-key": "its search tree points to 16776991, outside",
}

# Where we do not say what the source says, and why.
DEVIATIONS = {
    "CN-22": "CN-JL",  # ISO 3166-2 replaced China's numbers by letters in 2017; the region is found by its name, Jilin
}

SOURCES = [
    "GeoIP2-Country-Test",
    "GeoIP2-City-Test",
    "GeoIP2-Enterprise-Test",
    "GeoLite2-ASN-Test",
    "GeoIP2-Anonymous-IP-Test",
]


@pytest.fixture(autouse=True, scope="module")
def data_is_there(shared_data: Callable[[str], Path]) -> None:
    assert shared_data(DATA.name) == DATA


def source(name: str) -> dict[str, Any]:
    """Return the records of a source by network, IPv4 as IPv4."""
    found: dict[str, Any] = {}
    for entry in json.loads((DATA / f"{name}.json").read_text("utf-8")):
        for cidr, record in entry.items():
            network = ip_network(cidr, strict=False)
            if isinstance(network, IPv6Network) and network.prefixlen >= 96 and int(network.network_address) < 1 << 32:
                network = ip_network((int(network.network_address), network.prefixlen - 96))
            found[str(network)] = record
    return found


def addresses(cidr: str) -> Iterator[str]:
    """Yield the first and last address of a network, and one between."""
    network = ip_network(cidr, strict=False)
    first, last = int(network.network_address), int(network.broadcast_address)
    kind = IPv4Address if network.version == 4 else IPv6Address
    for number in {first, last, random.Random(cidr).randint(first, last)}:
        yield str(kind(number))


def narrowest(records: Mapping[str, Any]) -> Callable[[str], Any]:
    """Return what finds the record of the narrowest network that holds an address."""
    networks = sorted(
        ((ip_network(cidr), record) for cidr, record in records.items()), key=lambda pair: -pair[0].prefixlen
    )

    def find(address: str) -> Any:
        parsed = IPv6Address(address) if ":" in address else IPv4Address(address)
        return next(record for network, record in networks if parsed in network)

    return find


ANONYMOUS = {
    "is_anonymous_vpn": "vpn",
    "is_tor_exit_node": "tor",
    "is_hosting_provider": "hosting",
    "is_public_proxy": "public_proxy",
    "is_residential_proxy": "residential_proxy",
    "is_satellite_provider": "satellite",
}


def expected(record: Mapping[str, Any]) -> GeoRecord:
    """Return, in a few plain lines, what the record of a source says."""
    code = record.get("country", {}).get("iso_code")
    regions = record.get("subdivisions", [])
    traits = record.get("traits", {})
    flags = {flag for key, flag in ANONYMOUS.items() if record.get(key) or traits.get(key)}
    if traits.get("connection_type") == "Cellular":
        flags.add("mobile")
    elif traits.get("connection_type") == "Satellite":
        flags.add("satellite")
    if (record.get("is_anonymous") or traits.get("is_anonymous")) and not flags:
        flags.add("anonymous")
    asn = record.get("autonomous_system_number") or traits.get("autonomous_system_number")
    name = record.get("autonomous_system_organization") or traits.get("autonomous_system_organization")
    region = f"{code}-{regions[0]['iso_code']}" if code and regions and "iso_code" in regions[0] else None
    return GeoRecord(code, DEVIATIONS.get(region or "", region), asn, name, frozenset(flags))


@pytest.mark.parametrize("name", SOURCES)
def test_every_network_is_read_as_its_source_says(name: str) -> None:
    records = source(name)
    reader, find = Reader.open(DATA / f"{name}.mmdb"), narrowest(records)
    different = {}
    for cidr in records:
        for address in addresses(cidr):
            found, said = reader.read(address), expected(find(address))
            if isinstance(found, Missing) or found._replace(region=None, place=None) != said:
                different[address] = (found, said)
    assert not different


@pytest.mark.parametrize("name", ["GeoIP2-Country-Test", "GeoIP2-City-Test", "GeoIP2-Enterprise-Test"])
def test_another_library_reads_the_same_country(name: str) -> None:
    reader = Reader.open(DATA / f"{name}.mmdb")
    method = {"Country": "country", "City": "city", "Enterprise": "enterprise"}[name.split("-")[1]]
    with geoip2.database.Reader(DATA / f"{name}.mmdb") as other:
        for cidr in source(name):
            address = next(addresses(cidr))
            answer = reader.read(address)
            assert isinstance(answer, GeoRecord)
            theirs = getattr(other, method)(address)
            assert answer.country == theirs.country.iso_code
            location = getattr(theirs, "location", None)
            if answer.place is not None:
                assert answer.place == (location.latitude, location.longitude, location.accuracy_radius)
            else:
                assert location is None or not location.latitude


def test_no_network_of_anonymous_plus_is_unreadable() -> None:
    reader = Reader.open(DATA / "GeoIP-Anonymous-Plus-Test.mmdb")
    found = {flag for network in reader.walk() for flag in _flags(reader, network.start)}
    assert {"vpn", "tor", "hosting", "public_proxy", "residential_proxy"} <= found


def _flags(reader: Reader, number: int) -> frozenset[str]:
    answer = reader.read(str(IPv4Address(number) if number < 1 << 32 else IPv6Address(number)))
    assert isinstance(answer, GeoRecord)
    return answer.flags


def test_one_enterprise_file_serves_every_fact() -> None:
    path = DATA / "GeoIP2-Enterprise-Test.mmdb"
    geo = GeoIP(country=[path], subdivision=[path], asn=[path], anonymizer=[path])
    assert geo.look_up("74.209.24.1", AT)[:3] == ("US", "US-NY", "NA")
    assert geo.look_up("1.231.232.1", AT)[:3] == ("UA", "UA-43", "EU")
    assert geo.look_up("1.124.213.1", AT).country == "IR"
    assert geo.look_up("9.9.9.9", AT).country == Unknown(WhyUnknown.NO_RECORD)


def test_a_country_that_only_registration_knows_is_not_known() -> None:
    path = DATA / "GeoIP2-Country-Test.mmdb"
    geo = GeoIP(country=[path], asn=[])
    assert geo.look_up("2a02:d500::1", AT).country == Unknown(WhyUnknown.NO_RECORD)
    assert geo.look_up("202.196.224.1", AT).country == "PH", "where the base lies, not whose it is"


def test_an_unnamed_region_is_one_of_its_country() -> None:
    path = DATA / "GeoIP2-City-Test.mmdb"
    geo = GeoIP(country=[path], subdivision=[path], asn=[])
    assert geo.look_up("149.101.100.1", AT).subdivision == OneOf(WhyUnknown.NO_RECORD, frozenset(), frozenset({"US-"}))


def test_the_table_of_broken_files_is_complete() -> None:
    assert {path.stem for path in (DATA / "bad-data").glob("*.mmdb")} == BAD.keys()


@pytest.mark.parametrize(("name", "why"), BAD.items())
def test_a_broken_file_is_refused_in_one_line(name: str, why: str) -> None:
    with pytest.raises(BadEdition, match=why) as refused:
        Reader.open(DATA / "bad-data" / f"{name}.mmdb")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", BAD)
def test_a_broken_file_that_is_read_all_the_same_answers_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the checks at the door not there, a look-up would still give an answer of this project, and no place."""
    monkeypatch.setattr("geodb.reader.prove", lambda _content: None)
    monkeypatch.setattr("geodb.reader.fields_of_type", lambda _type: frozenset({"country"}))
    monkeypatch.setattr("geodb.reader._date", lambda _epoch, _path: 1)
    monkeypatch.setattr(Reader, "damage", lambda _self: None)
    try:
        reader = Reader.open(DATA / "bad-data" / f"{name}.mmdb")
    except BadEdition:
        return
    for first in range(0, 256, 5):
        answer = reader.read(f"{first}.0.0.1")
        if isinstance(answer, Missing):
            assert answer.why in {Why.NO_RECORD, Why.LOOKUP_FAILED}
        else:
            assert answer == GeoRecord()
