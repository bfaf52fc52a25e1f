"""Small databases, made by the independent writer and not by our own."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

BUILT_AT = 1_780_272_000
"""2026-06-01."""

Make = Callable[..., Path]


class _Dated(MMDBWriter):
    built_at = BUILT_AT

    def _build_meta(self) -> dict[str, Any]:
        return {**super()._build_meta(), "build_epoch": self.built_at}


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write `{network: record}` to a file, the wide networks first, and return its path."""

    def write(
        records: Mapping[str, Any],
        database_type: str = "GeoLite2-Country",
        *,
        name: str = "made.mmdb",
        built_at: int = BUILT_AT,
        ip_version: int = 6,
    ) -> Path:
        writer = _Dated(ip_version, database_type, ipv4_compatible=ip_version == 6, int_type="u32")
        writer.built_at = built_at
        for network in sorted(records, key=lambda cidr: int(cidr.partition("/")[2])):
            writer.insert_network(IPSet([network]), records[network])
        path = tmp_path / name
        writer.to_db_file(str(path))
        return path

    return write


@pytest.fixture
def country_record() -> Callable[[str], dict[str, Any]]:
    """Return a native record of one country."""
    return lambda code: {"country": {"iso_code": code}}


@pytest.fixture
def world(country_record: Callable[[str], dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Return records that place the sentinels, and so much of the rest that a sample of it means something."""
    from geodb.update import SENTINELS

    def records(elsewhere: str = "FR", share: int = 64) -> dict[str, Any]:
        blocks = {f"{first}.0.0.0/8": country_record(elsewhere if first < share else "DE") for first in range(16, 126)}
        blocks |= {f"{sentinel.address}/{128 if ':' in sentinel.address else 32}": country_record(sentinel.country)
                   for sentinel in SENTINELS}  # fmt: skip
        return {cidr: record for cidr, record in blocks.items() if cidr != "100.0.0.0/8"}

    return records
