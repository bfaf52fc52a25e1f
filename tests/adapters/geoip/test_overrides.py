"""What the operator says of a network, beside what they say of wider and narrower ones."""

from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.adapters.geoip.overrides import NOTHING, Named, Overrides
from gateway.core.errors import EditionError


def said(**fields: Any) -> Any:
    return SimpleNamespace(**{"country": None, "subdivision": None, "asn": None, "network": None, **fields})


OVERRIDES = Overrides(
    {
        "10.0.0.0/8": said(country="DE", network=("office",)),
        "10.1.0.0/16": said(subdivision="US-NY"),
        "10.1.2.0/24": said(asn=64500, network=()),
        "10.1.3.0/24": said(country="CA"),
        "fd00::/8": said(country="PT"),
        "0.0.0.0/1": said(asn=1),
    }
)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.9.9.9", Named("DE", None, 1, frozenset({"office"}))),
        ("10.1.9.9", Named("US", "US-NY", 1, frozenset({"office"}))),
        ("10.1.2.9", Named("US", "US-NY", 64500, frozenset())),
        ("10.1.3.9", Named("CA", None, 1, frozenset({"office"}))),
        ("11.0.0.1", Named(None, None, 1, None)),
        ("fd00::1", Named("PT", None, None, None)),
    ],
)
def test_the_narrowest_network_that_names_a_fact_has_the_say_on_it(address: str, expected: Named) -> None:
    parsed = ip_address(address)
    assert OVERRIDES.of(parsed.max_prefixlen, int(parsed)) == expected


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", "::10.1.2.3"])
def test_nothing_is_said_of_other_addresses(address: str) -> None:
    parsed = ip_address(address)
    assert OVERRIDES.of(parsed.max_prefixlen, int(parsed)) is NOTHING


@pytest.mark.parametrize(
    ("cidr", "fields", "why"),
    [
        ("10.0.0.1/8", {"asn": 1}, "`10.0.0.1/8` is not a network: .* has host bits set"),
        ("10.0.0.0/8", {"country": "UK"}, "`10.0.0.0/8` lies in `UK`, which is not a country"),
        ("10.0.0.0/8", {"subdivision": "EU-1"}, "lies in `EU`"),
    ],
)
def test_what_cannot_be_is_refused_when_built(cidr: str, fields: dict[str, Any], why: str) -> None:
    with pytest.raises(EditionError, match=why):
        Overrides({cidr: said(**fields)})
