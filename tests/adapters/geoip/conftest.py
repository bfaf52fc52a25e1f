"""Small databases for the adapter, and sources that say what they are told to."""

from collections.abc import Callable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from geodb.edition import Edition
from geodb.record import NOWHERE, Field, GeoRecord, Missing
from geodb.tree import Span, joined, write

BUILT_AT = 1_780_272_000
"""2026-06-01."""


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """Write `{network: record}` to a file and return its path."""

    def written(
        records: Mapping[str, Any],
        database_type: str = "GeoLite2-Country",
        *,
        name: str = "made.mmdb",
        built_at: int = BUILT_AT,
    ) -> Path:
        spans = [
            Span(int(network.network_address), int(network.broadcast_address), cidr)
            for cidr in records
            for network in [ip_network(cidr)]
        ]
        path = tmp_path / name
        partial = tmp_path / f"{name}.partial"
        write(str(partial), joined(spans).spans, records, database_type=database_type, built_at=built_at)
        return partial.replace(path)

    return written


class Told:
    """A source that says the same of every address, and counts how often it is asked."""

    fields = frozenset(Field)

    def __init__(self, said: GeoRecord | Missing = NOWHERE, *, built_at: int | None = BUILT_AT) -> None:
        self.said = said
        self.asked = 0
        self.edition = Edition("told", None, "told", built_at, "00" * 32, 0)

    def read(self, address: str) -> GeoRecord | Missing:
        assert address
        self.asked += 1
        return self.said


@pytest.fixture(scope="session")
def told() -> type[Told]:
    """Return the class of sources that say what they are told to."""
    return Told
