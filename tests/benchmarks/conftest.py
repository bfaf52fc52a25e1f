"""A world on small databases of our own: the rig is tested, not the shipped editions."""

import random
from pathlib import Path

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from benchmarks.world import World, build

COUNTRIES = ("PT", "DE", "FR", "JP", "BR", "NL", "US", "CN")


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Country and ASN databases in which every eighth of an /8 lies somewhere."""
    rng = random.Random(1)
    folder = tmp_path_factory.mktemp("editions")
    country = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="GeoLite2-Country", int_type="u32")
    asn = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="GeoLite2-ASN", int_type="u32")
    places: dict[str, list[str]] = {code: [] for code in COUNTRIES}
    for first in range(1, 224):
        for second in range(0, 256, 32):
            places[rng.choice(COUNTRIES)].append(f"{first}.{second}.0.0/11")
    for code, networks in places.items():
        country.insert_network(IPSet(networks), {"country": {"iso_code": code}})
        asn.insert_network(IPSet(networks), {"autonomous_system_number": 1000 + COUNTRIES.index(code)})
    country.to_db_file(str(folder / "country.mmdb"))
    asn.to_db_file(str(folder / "asn.mmdb"))
    return folder / "country.mmdb", folder / "asn.mmdb"


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, databases: tuple[Path, Path]) -> World:
    """A world of 200 customers."""
    country, asn = databases
    return build(tmp_path_factory.mktemp("world"), customers=200, country_db=country, asn_db=asn)


@pytest.fixture
def real_world(tmp_path: Path) -> World:
    """A world on the shipped editions, as a run has it."""
    return build(tmp_path, customers=60, segment="1MiB")
